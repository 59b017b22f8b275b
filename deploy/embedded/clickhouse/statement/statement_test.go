package statement

import "testing"

func TestStatements(t *testing.T) {
	for _, c := range []struct {
		src  string
		want Statement
	}{
		{"SELECT 1", Statement{Text: "SELECT 1", Reads: true, Output: 8}},
		{"SELECT 1;", Statement{Text: "SELECT 1", Reads: true, Output: 8}},
		{"SELECT 1 FORMAT JSON;\n-- end", Statement{Text: "SELECT 1 FORMAT JSON", Format: "JSON",
			Reads: true, Output: 9}},
		{"SELECT 'FORMAT CSV' SETTINGS a=1 FORMAT XML SETTINGS b='x'",
			Statement{Text: "SELECT 'FORMAT CSV' SETTINGS a=1 FORMAT XML SETTINGS b='x'", Format: "XML",
				Reads: true, Output: 33}},
		{"(SELECT 1 format)", Statement{Text: "(SELECT 1 format)", Reads: true, Output: 17}},
		{"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Statement{Text: "WITH x AS (SELECT 1) INSERT INTO t " +
			"SELECT * FROM x", Output: 50}},
		{"DROP TABLE t", Statement{Text: "DROP TABLE t", Output: 12}},
		{"SELECT $a$ ; FORMAT $a$ , `;`, /* ; */ 1", Statement{Text: "SELECT $a$ ; FORMAT $a$ , `;`, /* ; */ 1",
			Reads: true, Output: 40}},
		{"INSERT INTO values VALUES (1)", Statement{Text: "INSERT INTO values ", Insert: true,
			Format: "Values", Data: 25}},
		{"INSERT INTO t (a, format) FORMAT CSV SETTINGS x=1,y=-2\n1",
			Statement{Text: "INSERT INTO t (a, format) SETTINGS x=1,y=-2", Insert: true, Format: "CSV", Data: 55}},
	} {
		got, err := Parse(c.src)
		if err != nil || got != c.want {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", c.src, got, err, c.want)
		}
	}
}

// Nothing that a client sends makes the scanner panic, loop, or point outside its text.
func FuzzStatement(f *testing.F) {
	for _, s := range []string{"SELECT 1 FORMAT JSON", "INSERT INTO t VALUES (1)",
		"INSERT INTO t FORMAT CSV SETTINGS a=-1\n", "$a$x$a$", "`\\", "'\\", "/*", "\u201cx",
		"INSERT INTO t (a FORMAT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		st, err := Parse(s)
		if err != nil {
			return
		}
		if st.Insert && (st.Data < 0 || st.Data > len(s)) || !st.Insert &&
			(st.Output < 0 || st.Output > len(st.Text)) {
			t.Errorf("%q: %+v", s, st)
		}
	})
}
