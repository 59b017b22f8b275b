package dsar

import (
	"io"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// verify says how to check the package, in every language, that of the request first.
func (d *dossier) verify(to io.Writer) error {
	languages := d.c.languages()
	var parts []string
	for _, l := range languages {
		parts = append(parts, l.Text("dsar.verify", words.Args{
			"sequence": d.p.Seq, "request": d.p.Request, "pages": pagesIn(languages, l),
			"languages": namesIn(languages, l),
		}))
	}
	_, err := io.WriteString(to, strings.Join(parts, "\n"+strings.Repeat("-", 80)+"\n\n"))
	return err
}

// own is the languages with l before the others, as a text in l names them.
func own(languages []*words.Language, l *words.Language) []*words.Language {
	out := []*words.Language{l}
	for _, other := range languages {
		if other != l {
			out = append(out, other)
		}
	}
	return out
}

// pagesIn names the pages.
func pagesIn(languages []*words.Language, l *words.Language) string {
	var names []string
	for _, o := range own(languages, l) {
		names = append(names, pageName(o))
	}
	return strings.Join(names, ", ")
}

// namesIn names the languages of the pages in l.
func namesIn(languages []*words.Language, l *words.Language) string {
	var names []string
	for _, o := range own(languages, l) {
		names = append(names, l.Text("dsar.verify.language", words.Args{"language": l.NameOf(o)}))
	}
	return l.List(names)
}
