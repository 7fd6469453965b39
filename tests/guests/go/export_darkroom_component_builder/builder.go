// Package export_darkroom_component_builder is the builder of the conformance component:
// every function of the contract, in Go. ../README.md says what it does; the other
// languages do exactly the same.
package export_darkroom_component_builder

import (
	"errors"
	"fmt"
	"strings"

	wit "go.bytecodealliance.org/pkg/wit/types"

	inputs "wit_component/darkroom_component_inputs"
	machine "wit_component/darkroom_component_machine"
	report "wit_component/darkroom_component_report"
	steps "wit_component/darkroom_component_steps"
)

// Build is what the host calls. Go's own way to fail is an error, so that is what the
// rest has.
func Build() wit.Result[wit.Unit, string] {
	if err := build(); err != nil {
		return wit.Err[wit.Unit](err.Error())
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func build() error {
	greeting := inputs.Text("greeting").SomeOr("")
	report.Info(fmt.Sprintf("%s %s on %s, root %s",
		machine.Distribution(), machine.Release(), machine.Architecture(), machine.Root()))
	report.Debug(inputs.JsonObject())
	if machine.Family() == "windows" {
		return windows(greeting)
	}

	look := steps.Shell("look around", "cat /etc/os-release")
	page := steps.Write("write the page", "/srv/page.html", greeting+"\n")
	steps.Mode(page, 0o640)
	steps.Owner(page, "www-data:www-data")
	steps.Attempts(page, 2)
	tool := "dnf"
	if strings.Contains(steps.Output(look), "ID=debian") {
		tool = "apt-get"
	}
	if err := fail(inputs.Text("fail").SomeOr(""), look); err != nil {
		return err
	}

	install := steps.Shell("install", tool+` install -y -- "$@"`)
	for _, name := range inputs.Texts("packages") {
		steps.Argument(install, name)
	}
	steps.Environment(install, "DEBIAN_FRONTEND", "noninteractive")
	steps.RunAs(install, "builder")
	steps.Directory(install, "/opt")
	steps.Timeout(install, 900)
	steps.Attempts(install, 3)
	steps.ExpectExitCodes(install, []int32{0, 100})
	steps.ExpectOutput(install, "done")
	steps.ExpectNoOutput(install, "E:")
	steps.ExpectMatch(install, "(?i)set up [0-9]+ packages?")
	if token := inputs.Text("token"); token.IsSome() {
		steps.Environment(install, "TOKEN", token.Some())
		file := steps.Write("write the token", "/etc/app/token", "token="+token.Some()+"\n")
		steps.Mode(file, 0o600)
	}
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	steps.WriteBytes("write bytes", "/srv/bytes", bytes)
	steps.WriteAsset("write the asset", "/srv/note.txt", "note.txt")
	archive := steps.Download("fetch the archive", "/srv/archive",
		"https://mirror.example/archive.tar.gz", strings.Repeat("0123456789abcdef", 4))
	steps.Timeout(archive, 60)

	may := steps.Shell("may fail", "exit 3")
	steps.Tolerate(may)
	if !steps.Succeeded(may) {
		report.Warning(fmt.Sprintf("it failed with %d", steps.ExitCode(may)))
	}
	restart := steps.Reboot("restart")
	steps.Timeout(restart, 300)

	log := steps.Collect("keep the log", "/var/log/app.log", 4<<20)
	slice := uint32(inputs.Integer("slice").SomeOr(8))
	var total, sum uint64
	for total < steps.Size(log) {
		part := steps.Read(log, total, slice)
		total += uint64(len(part))
		for _, b := range part {
			sum += uint64(b)
		}
	}

	var items []string
	for item := int64(1); item <= inputs.Integer("count").SomeOr(0); item++ {
		asked := steps.Shell(fmt.Sprintf("item %d", item), fmt.Sprintf("echo %d", item))
		items = append(items, steps.Output(asked))
	}
	if settings := inputs.JsonText("settings"); settings.IsSome() {
		steps.Write("write the settings", "/etc/app/settings.json", settings.Some())
	}
	if inputs.Flag("loud").SomeOr(false) {
		shout := steps.Shell("shout", `echo "$GREETING! $PERCENT%"`)
		steps.Environment(shout, "GREETING", greeting)
		steps.Environment(shout, "PERCENT", fmt.Sprintf("%.0f", inputs.Number("ratio").SomeOr(0)*100))
	}
	report.PublishText("tool", tool)
	report.Publish("bytes", fmt.Sprint(total))
	report.Publish("sum", fmt.Sprint(sum))
	report.Publish("items", "["+strings.Join(items, ",")+"]")
	return nil
}

func windows(greeting string) error {
	steps.Write("write for Windows", `C:\srv\page.html`, greeting+"\r\n")
	shell := steps.Powershell("ask PowerShell", "Write-Output $args[0]")
	steps.Argument(shell, greeting)
	steps.Directory(shell, `C:\srv`)
	cmd := steps.Cmd("ask cmd", "echo off\r\nset GREETING\r\n")
	steps.Environment(cmd, "GREETING", greeting)
	if steps.Output(shell) != greeting {
		return errors.New("PowerShell says something else")
	}
	steps.Reboot("restart")
	return nil
}

// fail ends in the way that the argument of its name says.
func fail(how string, look uint32) error {
	switch how {
	case "error":
		return errors.New("told to fail: \"quoted\"\nand a second line, é")
	case "crash":
		var nothing *uint32
		steps.Timeout(look, *nothing)
	case "late":
		steps.Timeout(look, 60)
	case "type":
		inputs.Text("count")
	case "undeclared":
		inputs.Text("nothing")
	case "negative":
		steps.Output(^uint32(0))
	case "endless":
		for {
		}
	case "greedy":
		var kept [][]byte
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	}
	return nil
}
