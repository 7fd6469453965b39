// Package export_darkroom_component_tester is the tester of the conformance component.
package export_darkroom_component_tester

import (
	wit "go.bytecodealliance.org/pkg/wit/types"

	inputs "wit_component/darkroom_component_inputs"
	report "wit_component/darkroom_component_report"
	steps "wit_component/darkroom_component_steps"
)

func Test() wit.Result[wit.Unit, string] {
	page := steps.Shell("the page greets", "cat /srv/page.html")
	steps.ExpectOutput(page, inputs.Text("greeting").SomeOr(""))
	swap := steps.Shell("look for a swap file", "test -e /swapfile")
	steps.Tolerate(swap)
	if steps.ExitCode(swap) == 0 {
		report.Failed("no swap file", "there is /swapfile")
	} else {
		report.Passed("no swap file")
	}
	report.Skipped("mail", "no mail server was asked for")
	return wit.Ok[wit.Unit, string](wit.Unit{})
}
