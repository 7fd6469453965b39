// Package export_darkroom_component_about says what the component is. The name of the
// package is the generator's.
package export_darkroom_component_about

import _ "embed"

// The parameters are shown in the order in which they stand in the text: encoding/json
// sorts the keys of a map, so that a description is better written than made.
//
//go:embed describe.json
var description string

func Describe() string { return description }
