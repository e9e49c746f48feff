package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"text/tabwriter"
)

// field is one setting as the struct declares it.
type field struct {
	field string // in settings
	name  string // in the environment
	none  string // what it means to be empty
}

// fields lists the settings in the order of the struct.
func fields() []field {
	var all []field
	for f := range reflect.TypeFor[settings]().Fields() {
		none := f.Tag.Get("none")
		if none == "" {
			none = "none"
		}
		all = append(all, field{f.Name, f.Tag.Get("env"), none})
	}
	return all
}

// show writes what is in force. Of a secret it says no more than that it is set.
func (s *settings) show(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	values := reflect.ValueOf(s).Elem()
	for i, f := range fields() {
		value := fmt.Sprint(values.Field(i).Interface())
		switch {
		case value == "":
			value = "(" + f.none + ")"
		case slices.Contains(secrets, f.name):
			value = "(set)"
		}
		fmt.Fprintf(table, "%s\t%s\n", f.name, value)
	}
	return table.Flush()
}
