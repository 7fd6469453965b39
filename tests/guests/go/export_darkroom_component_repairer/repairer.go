// Package export_darkroom_component_repairer is the repairer of the conformance component.
package export_darkroom_component_repairer

import (
	"fmt"

	wit "go.bytecodealliance.org/pkg/wit/types"

	machine "wit_component/darkroom_component_machine"
	report "wit_component/darkroom_component_report"
	steps "wit_component/darkroom_component_steps"
)

func Repair() wit.Result[wit.Unit, string] {
	root := machine.Root()
	look := steps.Shell("look at fstab", `grep -q no-such-disk "$ROOT/etc/fstab"`)
	steps.Environment(look, "ROOT", root)
	steps.Tolerate(look)
	switch code := steps.ExitCode(look); code {
	case 0:
		mend := steps.Shell("mend fstab", `sed -i /no-such-disk/d "$ROOT/etc/fstab"`)
		steps.Environment(mend, "ROOT", root)
		report.Repaired("GUESTOS.Fstab", "a disk that isn't there was taken out")
	case 1:
		report.Intact("GUESTOS.Fstab")
	default:
		message := fmt.Sprintf("it can't be read: exit code %d", code)
		report.Unrepaired("GUESTOS.Fstab", "high", message)
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}
