package main

import (
	"embed"
	"fmt"
	"strings"
)

// helpTexts are the commands' long helps, a file each.
//
//go:embed help
var helpTexts embed.FS

// help returns the text of that name, with the values in the places of its %s.
func help(name string, values ...any) string {
	text, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // it is built in, and every command is made at the start
	}
	return strings.TrimSuffix(fmt.Sprintf(string(text), values...), "\n")
}
