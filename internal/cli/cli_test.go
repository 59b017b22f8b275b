package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spf13/cobra"
)

func asCall(input string) *Call { return &Call{In: strings.NewReader(input), Err: io.Discard} }

func TestANameIsReadFromStandardInput(t *testing.T) {
	for _, tc := range []struct{ given, input, want string }{
		{"-", "anna@contoso.example\n", "anna@contoso.example"},
		{"-", "  anna@contoso.example", "anna@contoso.example"},
		{"piet@contoso.example", "anna", "piet@contoso.example"},
	} {
		if got, err := asCall(tc.input).Secret(tc.given, "subject"); err != nil || got != tc.want {
			t.Errorf("given %q with %q: %q, %v", tc.given, tc.input, got, err)
		}
	}
	if _, err := asCall("\n").Secret("-", "subject"); err == nil {
		t.Error("an empty line was taken for a name")
	}
}

// doc is what an act came to.
type doc struct {
	Name string `json:"name"`
}

func (d doc) WriteText(w io.Writer) { fmt.Fprintln(w, "it is", d.Name) }

// tree is a command line with one command that does something.
func tree(out io.Writer, fails error) *cobra.Command {
	var colour string
	root := &cobra.Command{Use: "paint", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Group("wall", "Walls", New(Command{Use: "do", Short: "Paint one",
		Flags: func(f Flags) {
			f.Choice(&colour, "colour", "", "", "of the wall", "red", "blue")
			f.Output()
		},
		Run: func(c *Call) error {
			if !c.Changed("colour") {
				return Usage("it was required")
			}
			return c.Print(doc{"<" + colour + ">"}, fails)
		}})))
	Explain(root, fstest.MapFS{"help/wall-do.txt": {Data: []byte("do paints.\n\nExamples:\n  paint wall do\n")}})
	Strictly(root)
	root.SetOut(out)
	root.SetErr(io.Discard)
	return root
}

func TestACommandIsADescription(t *testing.T) {
	fails := errors.New("no paint")
	for line, tc := range map[string]struct {
		fails error
		out   string
		wrong string
	}{
		"wall do --colour red":            {nil, "it is <red>\n", ""},
		"wall do --colour red -o json":    {nil, "{\n  \"name\": \"<red>\"\n}\n", ""},
		"wall do --colour red --output x": {nil, "", "is not text or json"},
		"wall do --colour green":          {nil, "", "is not red or blue"},
		"wall do":                         {nil, "", "it was required"},
		"wall do --colour red more":       {nil, "", "unknown command"},
		"wall dp":                         {nil, "", "it has do"},
		"floor":                           {nil, "", "it has "},
		"wall do --colour blue":           {fails, "", "no paint"},
	} {
		var out bytes.Buffer
		root := tree(&out, tc.fails)
		root.SetArgs(strings.Fields(line))
		err := root.Execute()
		if tc.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%s: %v, want %q", line, err, tc.wrong)
			}
		} else if err != nil || out.String() != tc.out {
			t.Errorf("%s: %q, %v", line, out.String(), err)
		}
	}
	var out bytes.Buffer
	do, _, err := tree(&out, nil).Find([]string{"wall", "do"})
	if err != nil || do.Long != "do paints." || do.Example != "  paint wall do" {
		t.Errorf("%q, %q, %v", do.Long, do.Example, err)
	}
}

func TestAnErrorCarriesItsExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
	}{{nil, OK}, {io.EOF, Failed}, {Usage("x"), Wrong}, {fmt.Errorf("y: %w", Exit(Partial, io.EOF)), Partial},
		{Exit(Wrong, nil), OK}} {
		if got := Code(tc.err); got != tc.code {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.code)
		}
	}
}
