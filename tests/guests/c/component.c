// The conformance component: every function of the contract, in C.
// ../README.md says what it does; the other languages do exactly the same.
//
// Nothing is freed: an instance lives for one call, and goes as a whole.

#include "darkroom.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The generated names are long; these make them readable.
#define steps(function) darkroom_component_steps_##function
#define inputs(function) darkroom_component_inputs_##function
#define machine(function) darkroom_component_machine_##function
#define report(function) darkroom_component_report_##function
// A string of the contract is counted, and goes by address. S is one of a C string,
// F one that is formatted.
#define S(text) (&(darkroom_string_t){(uint8_t *)(text), strlen(text)})
#define F(...) S(formatted(__VA_ARGS__))
typedef darkroom_string_t string;

static char *formatted(const char *format, ...) {
  char *text = NULL;
  va_list values;
  va_start(values, format);
  if (vasprintf(&text, format, values) < 0) abort();
  va_end(values);
  return text;
}

// A C string of what the host answers.
static char *text_of(string answer) {
  return formatted("%.*s", (int)answer.len, (const char *)answer.ptr);
}

static char *text_argument(const char *name) {
  string value;
  return inputs(text)(S(name), &value) ? text_of(value) : NULL;
}

static int64_t integer_argument(const char *name) {
  int64_t value = 0;
  return inputs(integer)(S(name), &value) ? value : 0;
}

static bool failed(string *error, const char *message) {
  darkroom_string_dup(error, message);
  return false;
}

void exports_darkroom_component_about_describe(string *answer) {
  static const char description[] = {
#embed "describe.json"
      , 0};
  darkroom_string_dup(answer, description);
}

static bool windows(const char *greeting, string *error) {
  steps(write)(S("write for Windows"), S("C:\\srv\\page.html"), F("%s\r\n", greeting));
  uint32_t shell = steps(powershell)(S("ask PowerShell"), S("Write-Output $args[0]"));
  steps(argument)(shell, S(greeting));
  steps(directory)(shell, S("C:\\srv"));
  uint32_t cmd = steps(cmd)(S("ask cmd"), S("echo off\r\nset GREETING\r\n"));
  steps(environment)(cmd, S("GREETING"), S(greeting));
  string answer;
  steps(output)(shell, &answer);
  if (strcmp(text_of(answer), greeting) != 0) {
    return failed(error, "PowerShell says something else");
  }
  steps(reboot)(S("restart"));
  return true;
}

// Ends in the way that the argument `fail` names.
static bool fail(const char *how, uint32_t look, string *error) {
  string ignored;
  if (strcmp(how, "error") == 0) {
    return failed(error, "told to fail: \"quoted\"\nand a second line, é");
  } else if (strcmp(how, "crash") == 0) {
    fprintf(stderr, "component.c: the flux capacitor is missing\n");
    abort();
  } else if (strcmp(how, "late") == 0) {
    steps(timeout)(look, 60);
  } else if (strcmp(how, "type") == 0) {
    inputs(text)(S("count"), &ignored);
  } else if (strcmp(how, "undeclared") == 0) {
    inputs(text)(S("nothing"), &ignored);
  } else if (strcmp(how, "negative") == 0) {
    steps(output)(-1, &ignored);
  } else if (strcmp(how, "endless") == 0) {
    for (volatile int i = 0;; i++) {
    }
  } else if (strcmp(how, "greedy") == 0) {
    static char *volatile kept;  // The compiler takes memory for nothing that nobody reads.
    for (;;) {
      kept = malloc(1 << 20);
      if (kept == NULL) abort();
      memset(kept, 1, 1 << 20);
    }
  }
  return true;
}

bool exports_darkroom_component_builder_build(string *error) {
  const char *greeting = text_argument("greeting");
  string distribution, release, architecture, root, family, arguments;
  machine(distribution)(&distribution);
  machine(release)(&release);
  machine(architecture)(&architecture);
  machine(root)(&root);
  report(info)(F("%s %s on %s, root %s", text_of(distribution), text_of(release),
                 text_of(architecture), text_of(root)));
  inputs(json_object)(&arguments);
  report(debug)(&arguments);
  machine(family)(&family);
  if (strcmp(text_of(family), "windows") == 0) return windows(greeting, error);

  uint32_t look = steps(shell)(S("look around"), S("cat /etc/os-release"));
  uint32_t page = steps(write)(S("write the page"), S("/srv/page.html"), F("%s\n", greeting));
  steps(mode)(page, 0640);
  steps(owner)(page, S("www-data:www-data"));
  steps(attempts)(page, 2);
  string system;
  steps(output)(look, &system);
  const char *tool = strstr(text_of(system), "ID=debian") ? "apt-get" : "dnf";
  if (!fail(text_argument("fail"), look, error)) return false;

  uint32_t install = steps(shell)(S("install"), F("%s install -y -- \"$@\"", tool));
  darkroom_list_string_t packages;
  inputs(texts)(S("packages"), &packages);
  for (size_t i = 0; i < packages.len; i++) steps(argument)(install, &packages.ptr[i]);
  steps(environment)(install, S("DEBIAN_FRONTEND"), S("noninteractive"));
  steps(run_as)(install, S("builder"));
  steps(directory)(install, S("/opt"));
  steps(timeout)(install, 900);
  steps(attempts)(install, 3);
  steps(expect_exit_codes)(install, &(darkroom_list_s32_t){(int32_t[]){0, 100}, 2});
  steps(expect_output)(install, S("done"));
  steps(expect_no_output)(install, S("E:"));
  steps(expect_match)(install, S("(?i)set up [0-9]+ packages?"));
  char *token = text_argument("token");
  if (token != NULL) {
    steps(environment)(install, S("TOKEN"), S(token));
    uint32_t file = steps(write)(S("write the token"), S("/etc/app/token"), F("token=%s\n", token));
    steps(mode)(file, 0600);
  }
  uint8_t bytes[256];
  for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
  steps(write_bytes)(S("write bytes"), S("/srv/bytes"), &(darkroom_list_u8_t){bytes, 256});
  steps(write_asset)(S("write the asset"), S("/srv/note.txt"), S("note.txt"));
  const char *digest = "0123456789abcdef";
  uint32_t archive = steps(download)(S("fetch the archive"), S("/srv/archive"),
                                     S("https://mirror.example/archive.tar.gz"),
                                     F("%s%s%s%s", digest, digest, digest, digest));
  steps(timeout)(archive, 60);

  uint32_t may = steps(shell)(S("may fail"), S("exit 3"));
  steps(tolerate)(may);
  if (!steps(succeeded)(may)) {
    int32_t code = steps(exit_code)(may);  // A macro may look at what it is given twice.
    report(warning)(F("it failed with %d", code));
  }
  uint32_t restart = steps(reboot)(S("restart"));
  steps(timeout)(restart, 300);

  uint32_t log = steps(collect)(S("keep the log"), S("/var/log/app.log"), 4 << 20);
  uint64_t total = 0, sum = 0;
  while (total < steps(size)(log)) {
    darkroom_list_u8_t part;
    steps(read)(log, total, (uint32_t)integer_argument("slice"), &part);
    total += part.len;
    for (size_t i = 0; i < part.len; i++) sum += part.ptr[i];
  }

  char *items = "";
  for (int64_t item = 1; item <= integer_argument("count"); item++) {
    uint32_t asked = steps(shell)(F("item %lld", item), F("echo %lld", item));
    string answer;
    steps(output)(asked, &answer);
    items = formatted("%s%s%s", items, item > 1 ? "," : "", text_of(answer));
  }
  string settings;
  if (inputs(json_text)(S("settings"), &settings)) {
    steps(write)(S("write the settings"), S("/etc/app/settings.json"), &settings);
  }
  bool loud = false;
  if (inputs(flag)(S("loud"), &loud) && loud) {
    double ratio = 0;
    inputs(number)(S("ratio"), &ratio);
    uint32_t shout = steps(shell)(S("shout"), S("echo \"$GREETING! $PERCENT%\""));
    steps(environment)(shout, S("GREETING"), S(greeting));
    steps(environment)(shout, S("PERCENT"), F("%.0f", ratio * 100));
  }
  report(publish_text)(S("tool"), S(tool));
  report(publish)(S("bytes"), F("%llu", total));
  report(publish)(S("sum"), F("%llu", sum));
  report(publish)(S("items"), F("[%s]", items));
  return true;
}

bool exports_darkroom_component_tester_test(string *error) {
  (void)error;
  uint32_t page = steps(shell)(S("the page greets"), S("cat /srv/page.html"));
  steps(expect_output)(page, S(text_argument("greeting")));
  uint32_t swap = steps(shell)(S("look for a swap file"), S("test -e /swapfile"));
  steps(tolerate)(swap);
  if (steps(exit_code)(swap) == 0) {
    report(failed)(S("no swap file"), S("there is /swapfile"));
  } else {
    report(passed)(S("no swap file"));
  }
  report(skipped)(S("mail"), S("no mail server was asked for"));
  return true;
}

bool exports_darkroom_component_repairer_repair(string *error) {
  (void)error;
  string root;
  machine(root)(&root);
  uint32_t look = steps(shell)(S("look at fstab"), S("grep -q no-such-disk \"$ROOT/etc/fstab\""));
  steps(environment)(look, S("ROOT"), &root);
  steps(tolerate)(look);
  int32_t code = steps(exit_code)(look);
  if (code == 0) {
    uint32_t mend = steps(shell)(S("mend fstab"), S("sed -i /no-such-disk/d \"$ROOT/etc/fstab\""));
    steps(environment)(mend, S("ROOT"), &root);
    report(repaired)(S("GUESTOS.Fstab"), S("a disk that isn't there was taken out"));
  } else if (code == 1) {
    report(intact)(S("GUESTOS.Fstab"));
  } else {
    report(unrepaired)(S("GUESTOS.Fstab"), S("high"), F("it can't be read: exit code %d", code));
  }
  return true;
}
