;; A component with all three roles, written as WebAssembly text so that the tests
;; of the host need no toolchain. Packed for the world `all-roles`.
;;
;;   builder   looks at os-release in a first batch of three steps, asks for the
;;             output, and installs nginx with the tool that fits
;;   tester    one step, which is one case
;;   repairer  looks at fstab first; mends it if the look exits with 0, else reports
;;             it as intact
;;
;; Texts end with a zero byte here, and `$length` counts; the wrappers hand pairs of
;; address and length to the host.
(module
  (import "darkroom:component/steps@0.1.0" "shell"
    (func $host-shell (param i32 i32 i32 i32) (result i32)))
  (import "darkroom:component/steps@0.1.0" "write"
    (func $host-write (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "darkroom:component/steps@0.1.0" "environment"
    (func $host-environment (param i32 i32 i32 i32 i32)))
  (import "darkroom:component/steps@0.1.0" "expect-output"
    (func $host-expect-output (param i32 i32 i32)))
  (import "darkroom:component/steps@0.1.0" "mode" (func $mode (param i32 i32)))
  (import "darkroom:component/steps@0.1.0" "timeout" (func $timeout (param i32 i32)))
  (import "darkroom:component/steps@0.1.0" "attempts" (func $attempts (param i32 i32)))
  (import "darkroom:component/steps@0.1.0" "tolerate" (func $tolerate (param i32)))
  (import "darkroom:component/steps@0.1.0" "output" (func $host-output (param i32 i32)))
  (import "darkroom:component/steps@0.1.0" "exit-code"
    (func $exit-code (param i32) (result i32)))
  (import "darkroom:component/inputs@0.1.0" "text" (func $host-text (param i32 i32 i32)))
  (import "darkroom:component/machine@0.1.0" "root" (func $host-root (param i32)))
  (import "darkroom:component/report@0.1.0" "info" (func $host-info (param i32 i32)))
  (import "darkroom:component/report@0.1.0" "publish"
    (func $host-publish (param i32 i32 i32 i32)))
  (import "darkroom:component/report@0.1.0" "repaired"
    (func $host-repaired (param i32 i32 i32 i32)))
  (import "darkroom:component/report@0.1.0" "intact" (func $host-intact (param i32 i32)))

  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))

  ;; 0x000  results that the host or this module writes: 16 bytes
  (data (i32.const 0x100) "{\"summary\":\"Serves a greeting with nginx\",\"volatile\":true,\"internet\":true,\"families\":[\"linux\"],\"parameters\":{\"type\":\"object\",\"properties\":{\"greeting\":{\"type\":\"string\",\"default\":\"hello\",\"pattern\":\"^[a-z ]+$\"},\"mode\":{\"type\":\"string\",\"default\":\"standard\"}}}}\00")
  (data (i32.const 0x300) "greeting\00")
  (data (i32.const 0x400) "look\00")
  (data (i32.const 0x420) "cat /etc/os-release\00")
  (data (i32.const 0x460) "page\00")
  (data (i32.const 0x480) "/var/www/html/index.html\00")
  (data (i32.const 0x4c0) "count\00")
  (data (i32.const 0x4e0) "wc -c /var/www/html/index.html\00")
  (data (i32.const 0x520) "ID=debian\00")
  (data (i32.const 0x540) "install\00")
  (data (i32.const 0x560) "apt-get install -y nginx\00")
  (data (i32.const 0x5a0) "dnf install -y nginx\00")
  (data (i32.const 0x5e0) "tool\00")
  (data (i32.const 0x600) "\"apt-get\"\00")
  (data (i32.const 0x620) "\"dnf\"\00")
  (data (i32.const 0x640) "nginx comes from the distribution\00")
  (data (i32.const 0x680) "the page greets\00")
  (data (i32.const 0x6a0) "cat /var/www/html/index.html\00")
  (data (i32.const 0x700) "look for a missing disk\00")
  (data (i32.const 0x720) "grep -q no-such-disk \"$ROOT/etc/fstab\"\00")
  (data (i32.const 0x760) "ROOT\00")
  (data (i32.const 0x780) "mend fstab\00")
  (data (i32.const 0x7a0) "sed -i /no-such-disk/d \"$ROOT/etc/fstab\"\00")
  (data (i32.const 0x7e0) "GUESTOS.Fstab\00")
  (data (i32.const 0x800) "a disk that is not there was mounted\00")

  ;; Memory is never freed: each call has an instance of its own.
  (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32)
    (param $size i32) (result i32) (local $at i32) (local $end i32)
    (local.set $at (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (global.set $heap (local.get $end))
    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
      (then (if (i32.lt_s (memory.grow (i32.add (i32.const 1)
          (i32.shr_u (local.get $size) (i32.const 16)))) (i32.const 0))
        (then (unreachable)))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))

  (func $length (param $text i32) (result i32) (local $at i32)
    (local.set $at (local.get $text))
    (block $end (loop $next
      (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (i32.sub (local.get $at) (local.get $text)))

  (func $shell (param $name i32) (param $script i32) (result i32)
    (call $host-shell
      (local.get $name) (call $length (local.get $name))
      (local.get $script) (call $length (local.get $script))))

  ;; Whether the text at $at with $size bytes contains the one at $wanted.
  (func $contains (param $at i32) (param $size i32) (param $wanted i32) (result i32)
    (local $count i32) (local $i i32)
    (local.set $count (call $length (local.get $wanted)))
    (block $no (loop $next
      (br_if $no (i32.lt_u (local.get $size) (local.get $count)))
      (local.set $i (i32.const 0))
      (block $differs (loop $same
        (if (i32.eq (local.get $i) (local.get $count)) (then (return (i32.const 1))))
        (br_if $differs (i32.ne
          (i32.load8_u (i32.add (local.get $at) (local.get $i)))
          (i32.load8_u (i32.add (local.get $wanted) (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $same)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $size (i32.sub (local.get $size) (i32.const 1)))
      (br $next)))
    (i32.const 0))

  ;; The argument `greeting`, which has a default: address at 4, length at 8.
  (func $greeting
    (call $host-text (i32.const 0x300) (call $length (i32.const 0x300)) (i32.const 0)))

  (func $ok (result i32)
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.const 16))

  (func (export "darkroom:component/about@0.1.0#describe") (result i32)
    (i32.store (i32.const 0) (i32.const 0x100))
    (i32.store (i32.const 4) (call $length (i32.const 0x100)))
    (i32.const 0))

  (func (export "darkroom:component/builder@0.1.0#build") (result i32)
    (local $look i32) (local $page i32) (local $count i32) (local $install i32)
    (local $debian i32)
    (local.set $look (call $shell (i32.const 0x400) (i32.const 0x420)))
    (call $greeting)
    (local.set $page (call $host-write
      (i32.const 0x460) (call $length (i32.const 0x460))
      (i32.const 0x480) (call $length (i32.const 0x480))
      (i32.load (i32.const 4)) (i32.load (i32.const 8))))
    (call $mode (local.get $page) (i32.const 0x1a4)) ;; 0644
    (local.set $count (call $shell (i32.const 0x4c0) (i32.const 0x4e0)))
    (call $timeout (local.get $count) (i32.const 60))
    (call $host-info (i32.const 0x640) (call $length (i32.const 0x640)))
    (call $host-output (local.get $look) (i32.const 0))
    (local.set $debian (call $contains
      (i32.load (i32.const 0)) (i32.load (i32.const 4)) (i32.const 0x520)))
    (local.set $install (call $shell (i32.const 0x540)
      (select (i32.const 0x560) (i32.const 0x5a0) (local.get $debian))))
    (call $attempts (local.get $install) (i32.const 3))
    (call $timeout (local.get $install) (i32.const 900))
    (if (local.get $debian)
      (then (call $host-publish
        (i32.const 0x5e0) (call $length (i32.const 0x5e0))
        (i32.const 0x600) (call $length (i32.const 0x600))))
      (else (call $host-publish
        (i32.const 0x5e0) (call $length (i32.const 0x5e0))
        (i32.const 0x620) (call $length (i32.const 0x620)))))
    (call $ok))

  (func (export "darkroom:component/tester@0.1.0#test") (result i32) (local $step i32)
    (local.set $step (call $shell (i32.const 0x680) (i32.const 0x6a0)))
    (call $greeting)
    (call $host-expect-output (local.get $step)
      (i32.load (i32.const 4)) (i32.load (i32.const 8)))
    (call $ok))

  (func $in-root (param $step i32)
    (call $host-root (i32.const 0))
    (call $host-environment (local.get $step)
      (i32.const 0x760) (call $length (i32.const 0x760))
      (i32.load (i32.const 0)) (i32.load (i32.const 4))))

  (func (export "darkroom:component/repairer@0.1.0#repair") (result i32)
    (local $look i32)
    (local.set $look (call $shell (i32.const 0x700) (i32.const 0x720)))
    (call $in-root (local.get $look))
    (call $tolerate (local.get $look))
    (if (i32.eqz (call $exit-code (local.get $look)))
      (then
        (call $in-root (call $shell (i32.const 0x780) (i32.const 0x7a0)))
        (call $host-repaired
          (i32.const 0x7e0) (call $length (i32.const 0x7e0))
          (i32.const 0x800) (call $length (i32.const 0x800))))
      (else (call $host-intact (i32.const 0x7e0) (call $length (i32.const 0x7e0)))))
    (call $ok))
)
