package intake

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// WriteText writes the summary for a person, in that language: what was read, what became of it,
// and what needs attention.
func (s Summary) WriteText(w io.Writer, in *words.Language) error {
	t := &textWriter{w: w, in: in}
	t.line("read", words.Args{"count": s.Read, "number": in.Count(s.Read)})
	if s.DryRun {
		t.count(s.Recorded, "would-be-recorded")
	} else {
		t.count(s.Recorded, "recorded")
	}
	t.count(s.Unchanged, "unchanged")
	t.count(s.Superseded, "superseded")
	t.rules(s.Refused, "refused")
	for _, kind := range sortedKeys(s.Unrecognised) {
		t.number(s.Unrecognised[kind], t.text("unrecognised", words.Args{"kind": t.name(kind)}))
	}
	t.count(s.FailedCount, "failed-count")
	if !s.Balanced() {
		t.line("unbalanced", nil)
	}
	t.head("beside", nil)
	t.countAny(s.SameMoment, "same-moment")
	t.countAny(s.Undated, "undated")
	t.count(s.EventsAppended, "events")
	t.count(s.ListItemsKept, "apps-kept")
	t.rules(s.ListItemsRefused, "parts-refused")
	for _, c := range []struct {
		n    int
		what string
	}{{s.ListItemsUnnamed, "unnamed"}, {s.ValuesWithheld, "withheld"}, {s.ValuesCut, "cut"},
		{s.Supplemented, "supplemented"}, {s.Disputed, "disputed"}, {s.CodesOtherwise, "codes-otherwise"},
		{s.Decoded, "decoded"}, {s.ValuesOmitted, "omitted"}} {
		t.countAny(c.n, c.what)
	}
	as := "parts."
	if s.DryRun {
		as = "kind."
	}
	for _, name := range sortedKeys(s.Parts) {
		p := s.Parts[name]
		k := KindSummary{Recorded: p.Recorded, Unchanged: p.Unchanged, Superseded: p.Superseded, Refused: p.Refused,
			Failed: p.Failed}
		t.number(p.Read, t.text("parts-read", words.Args{"name": name, "outcomes": t.outcomes(as, k)}))
	}
	if len(s.EventsLeftOut) > 0 {
		t.head("left-out", nil)
		for _, why := range sortedKeys(s.EventsLeftOut) {
			t.number(s.EventsLeftOut[why], t.text("left."+why, nil))
		}
		if s.LeftOutInMore {
			t.line("left-out-more", nil)
		}
	}
	if n := s.EventsLeftOut[ledger.Forged.String()]; n > 0 {
		t.line("forged", words.Args{"number": in.Count(n)})
	}
	if len(s.UnknownFields) > 0 {
		t.head("unknown-fields", nil)
		for _, name := range sortedKeys(s.UnknownFields) {
			t.number(s.UnknownFields[name], t.name(name))
		}
	}
	s.writeKinds(t)
	s.writeAttention(t)
	return t.end()
}

// writeKinds says of a dry run what there is, by kind and by source tenant.
func (s Summary) writeKinds(t *textWriter) {
	if !s.DryRun {
		return
	}
	if len(s.Kinds) > 0 {
		t.head("by-kind", nil)
		for _, name := range sortedKeys(s.Kinds) {
			k := s.Kinds[name]
			t.number(k.Read, t.name(name)+": "+t.outcomes("kind.", *k))
		}
	}
	if len(s.SourceTenants) > 0 || s.NamesNoTenant > 0 {
		t.head("by-tenant", nil)
		for _, name := range sortedKeys(s.SourceTenants) {
			t.number(s.SourceTenants[name], t.name(name))
		}
		t.countAny(s.NamesNoTenant, "no-tenant")
	}
}

// outcomes says what became of so many records of a kind, or of parts.
func (t *textWriter) outcomes(as string, k KindSummary) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{k.Recorded, "recorded"}, {k.Unchanged, "unchanged"}, {k.Superseded, "superseded"},
		{k.Refused, "refused"}, {k.Unrecognised, "unrecognised"}, {k.Failed, "failed"}} {
		if p.n > 0 {
			parts = append(parts, t.text(as+p.what, words.Args{"number": t.in.Count(p.n)}))
		}
	}
	return strings.Join(parts, ", ")
}

// writeAttention names what somebody should look at: equal failures in one line.
func (s Summary) writeAttention(t *textWriter) {
	if len(s.UnknownFiles) > 0 {
		t.head("unknown-files", words.Args{"understood": t.text("understood", nil)})
		s.writeUnknownFiles(t)
	}
	if len(s.Failures) > 0 {
		t.head("failed-records", nil)
		told := 0
		for _, f := range s.Failures {
			said := strings.TrimSpace(f.Field + " " + t.retold(f.Reason))
			if f.Part != "" {
				said = f.Part + ": " + said
			}
			text := t.at(f.File, f.Line, f.Record) + ": " + said
			args := words.Args{"text": text, "number": t.in.Count(f.Count - 1), "files": t.in.Count(f.Files)}
			switch {
			case f.Files > 1:
				text = t.text("same-in-files", args)
			case f.Count > 1:
				text = t.text("same-in-file", args)
			}
			t.print("  " + text)
			told += f.Count
		}
		t.more(s.FailedCount + s.PartsFailed - told)
	}
	if len(s.Notices) > 0 {
		t.head("notices", nil)
		s.writeNotices(t)
		t.more(s.NoticeCount - len(s.Notices))
	}
}

// maxNamed is how many files that look alike are named in the text; the JSON form names more.
const maxNamed = 20

// writeUnknownFiles names files by what they look like.
func (s Summary) writeUnknownFiles(t *textWriter) {
	told := map[string]bool{}
	for i, f := range s.UnknownFiles {
		key := f.LooksLike + f.Help
		if told[key] {
			continue
		}
		told[key] = true
		n := 0
		for _, other := range s.UnknownFiles[i:] {
			if other.LooksLike+other.Help != key {
				continue
			}
			switch n++; {
			case n == 1:
				t.line("looks-like", words.Args{"file": f.File, "kind": t.retold(f.LooksLike),
					"help": t.retold(f.Help)})
			case n <= maxNamed:
				t.line("likewise", words.Args{"file": other.File})
			}
		}
		t.more(n - maxNamed)
	}
	if more := s.UnknownCount - len(s.UnknownFiles); more > 0 {
		t.line("more-files", words.Args{"count": more, "number": t.in.Count(more)})
	}
}

// writeNotices writes equal ones in one line.
func (s Summary) writeNotices(t *textWriter) {
	same := map[string]int{}
	for _, n := range s.Notices {
		same[n.What]++
	}
	for _, n := range s.Notices {
		count := same[n.What]
		if count == 0 {
			continue
		}
		same[n.What] = 0
		text := t.at(n.File, n.Line, 0) + ": " + t.retold(n.What)
		if count > 1 {
			text = t.text("same", words.Args{"text": text, "number": t.in.Count(count - 1)})
		}
		t.print("  " + text)
	}
}

// textWriter keeps the first error.
type textWriter struct {
	w   io.Writer
	in  *words.Language
	err error
}

// countColumns is how wide counts stand, each at the right.
const countColumns = 11

func (t *textWriter) text(key string, args words.Args) string {
	return t.in.Text("answer.import."+key, args)
}

func (t *textWriter) print(line string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, line)
	}
}

func (t *textWriter) line(key string, args words.Args) { t.print(t.text(key, args)) }

// head begins a part.
func (t *textWriter) head(key string, args words.Args) {
	t.print("")
	t.line(key, args)
}

func (t *textWriter) more(n int) {
	if n > 0 {
		t.line("more", words.Args{"number": t.in.Count(n)})
	}
}

func (t *textWriter) number(n int, what string) {
	t.print(terminal.Right(t.in.Count(n), countColumns) + "  " + what)
}

func (t *textWriter) count(n int, key string) { t.number(n, t.text(key, nil)) }

// countAny counts what is worth a line only where there is any.
func (t *textWriter) countAny(n int, key string) {
	if n > 0 {
		t.count(n, key)
	}
}

// rules counts by the rules of refusals.
func (t *textWriter) rules(m map[string]int, key string) {
	for _, rule := range sortedKeys(m) {
		name, ok := t.in.Find("enum.refusal.rule." + rule)
		if !ok {
			name = rule
		}
		t.number(m[rule], t.text(key, words.Args{"rule": name}))
	}
}

// at is a place in a file.
func (t *textWriter) at(file string, line, record int) string {
	args := words.Args{"file": file, "line": line, "record": record}
	switch {
	case line == 0:
		return file
	case record == 0:
		return t.text("line", args)
	}
	return t.text("record", args)
}

// name is a name that a source gave, or one of the words that stand for some.
func (t *textWriter) name(s string) string {
	switch s {
	case declaredTenant:
		return t.text("tenant.declared", nil)
	case otherTenant:
		return t.text("tenant.not-declared", nil)
	case noTenantID:
		return t.text("tenant.no-id", nil)
	case otherNames:
		return t.text("other-names", nil)
	}
	return t.retold(s) // what is no record has names of ours too
}

func (t *textWriter) end() error {
	if t.err != nil {
		return fmt.Errorf("write summary: %w", t.err)
	}
	return nil
}

// sentences are those that intake itself has for records and files, in English, with what
// stands in their places as groups.
var sentences = sync.OnceValue(func() map[string]*regexp.Regexp {
	out := map[string]*regexp.Regexp{}
	base := words.Default().Base()
	for _, key := range words.Default().Keys("answer.import.told.") {
		text := toldPlace.ReplaceAllString(regexp.QuoteMeta(base.Text(key)), "(?P<$1>.*)")
		out[key] = regexp.MustCompile("^" + text + "$")
	}
	return out
})

var toldPlace = regexp.MustCompile(`\\\{(\w+)\\\}`)

// Retold returns in a language what intake said of a record or file, as a Failure's Reason: that
// is English, for programs and logs. What has no sentence there stays as it is.
func Retold(in *words.Language, said string) string {
	best, text := 0, said
	for key, is := range sentences() {
		m := is.FindStringSubmatch(said)
		if m == nil || len(is.String()) <= best { // the longest says most
			continue
		}
		args := words.Args{}
		for i, name := range is.SubexpNames() {
			if name != "" {
				args[name] = m[i]
			}
		}
		best, text = len(is.String()), in.Text(key, args)
	}
	return text
}

func (t *textWriter) retold(said string) string { return Retold(t.in, said) }
