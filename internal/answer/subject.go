package answer

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Doc is what an act came to: for people in their language, and for programs as JSON.
type Doc interface {
	WriteText(io.Writer, *words.Language)
}

// Candidates are persons who may be one subject.
type Candidates struct {
	Candidates []Candidate `json:"candidates"`
	More       bool        `json:"more"` // there are others beyond these
}

// Candidate is two persons, each by an alias; "" where nothing was recorded of them.
type Candidate struct {
	Persons [2]string `json:"persons"`
	Shares  []Shared  `json:"shares"`
	Undone  bool      `json:"undone"`
}

// Shared is a kind of name that both were seen under, and when.
type Shared struct {
	Kind string    `json:"kind"`
	Seen [2]Period `json:"seen"`
}

// Period is from when to when.
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// CandidatesOf is what is said of candidates.
func CandidatesOf(all []custody.Candidate, more bool) Candidates {
	doc := Candidates{Candidates: []Candidate{}, More: more}
	for _, c := range all {
		of := Candidate{Undone: c.Undone, Shares: []Shared{}}
		for i, a := range c.Aliases {
			if a != uuid.Nil {
				of.Persons[i] = a.String()
			}
		}
		for _, l := range c.Likeness {
			of.Shares = append(of.Shares, Shared{l.Kind, [2]Period{{l.Seen[0].First.UTC(), l.Seen[0].Last.UTC()},
				{l.Seen[1].First.UTC(), l.Seen[1].Last.UTC()}}})
		}
		doc.Candidates = append(doc.Candidates, of)
	}
	return doc
}

// WriteText lists them for a person.
func (d Candidates) WriteText(w io.Writer, in *words.Language) {
	for _, c := range d.Candidates {
		for i, p := range c.Persons {
			if p == "" {
				p = in.Text("answer.subject.no-alias")
			}
			fmt.Fprintf(w, "%s  %s\n", in.Text("answer.subject.person", words.Args{"number": i + 1}), p)
		}
		for _, s := range c.Shares {
			fmt.Fprintln(w, "  "+in.Text("answer.subject.shares", words.Args{
				"kind": in.Text("answer.request.kind." + s.Kind), "first": period(in, s.Seen[0]),
				"second": period(in, s.Seen[1])}))
		}
		if c.Undone {
			fmt.Fprintln(w, "  "+in.Text("answer.subject.undone"))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, in.Text("answer.subject.candidates", words.Args{"count": len(d.Candidates),
		"number": in.Count(len(d.Candidates))}))
	if d.More {
		fmt.Fprintln(w, in.Text("answer.subject.more"))
	}
}

func period(in *words.Language, p Period) string {
	return in.Text("answer.subject.period", words.Args{"from": in.Date(p.From), "to": in.Date(p.To)})
}

// Merge is a merge that was told, or undone.
type Merge struct {
	Merge   uuid.UUID `json:"merge"`
	Event   uuid.UUID `json:"event"`
	Persons int       `json:"persons"`
	Undone  bool      `json:"undone"`
}

// MergeOf is what is said of a merge.
func MergeOf(m custody.Merged, undone bool) Merge { return Merge{m.ID, m.Event, m.Persons, undone} }

// WriteText says what came of it.
func (m Merge) WriteText(w io.Writer, in *words.Language) {
	key := "answer.subject.merged"
	if m.Undone {
		key = "answer.subject.unmerged"
	}
	fmt.Fprintln(w, in.Text(key, words.Args{"count": m.Persons, "number": in.Count(m.Persons)}))
	writeFacts(w, []fact{{in.Text("answer.subject.merge"), m.Merge.String()},
		{in.Text("answer.subject.event"), m.Event.String()}})
}

// Merges are those of a subject.
type Merges []MergeTold

// MergeTold is one of them.
type MergeTold struct {
	Merge  uuid.UUID    `json:"merge"`
	Holds  bool         `json:"holds"`
	Events []MergeEvent `json:"events"`
}

// MergeEvent is one event of a merge.
type MergeEvent struct {
	Event   uuid.UUID `json:"event"`
	Undone  bool      `json:"undone"`
	At      time.Time `json:"at"`
	Shares  string    `json:"shares,omitempty"`
	Officer string    `json:"officer"` // an alias
}

// MergesOf is what is said of a subject's merges.
func MergesOf(all []custody.MergeTold) Merges {
	doc := Merges{}
	for _, m := range all {
		told := MergeTold{Merge: m.ID, Holds: m.Holds}
		for _, e := range m.Events {
			told.Events = append(told.Events, MergeEvent{e.ID, e.Undone, e.At.UTC(), e.Likeness, e.Officer.String()})
		}
		doc = append(doc, told)
	}
	return doc
}

// WriteText lists them for a person.
func (d Merges) WriteText(w io.Writer, in *words.Language) {
	if len(d) == 0 {
		fmt.Fprintln(w, in.Text("answer.subject.never"))
	}
	for _, m := range d {
		fmt.Fprintln(w, in.Text("answer.subject.merge")+"  "+m.Merge.String())
		for _, e := range m.Events {
			key := "answer.subject.told-merged"
			if e.Undone {
				key = "answer.subject.told-unmerged"
			}
			shares := in.Text("enum.subject.likeness." + cmp.Or(e.Shares, "none"))
			fmt.Fprintln(w, "  "+in.Text(key, words.Args{"date": in.Date(e.At), "officer": e.Officer,
				"shares": shares}))
		}
	}
}
