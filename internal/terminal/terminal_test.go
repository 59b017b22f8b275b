package terminal

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProgressOffATerminalIsPlainLines(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	p.Show("one")
	if out.Len() != 0 {
		t.Errorf("short work shows %q", out.String())
	}
	p.last = time.Now().Add(-time.Minute)
	p.Show("%s records", Count(1234567))
	p.Done()
	if out.String() != "1,234,567 records\n" {
		t.Errorf("%q", out.String())
	}
}

// A line that stays is written at once, and a writer tells its bytes.
func TestWhatIsWrittenIsCounted(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	p.Say("made %s", "x")
	p.last = time.Now().Add(-time.Minute)
	w := p.Counting(io.Discard, "copied %s")
	if _, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 3<<10))); err != nil {
		t.Fatal(err)
	}
	if out.String() != "made x\ncopied 3 KiB\n" || w.N != 3<<10 {
		t.Errorf("%q, %d bytes", out.String(), w.N)
	}
}

func TestSizesAndCountsAreReadEasily(t *testing.T) {
	for n, want := range map[int64]string{0: "0 KiB", 1 << 20: "1 MiB", 3 << 29: "1.5 GiB", 1 << 40: "1024.0 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// A text takes as many columns as its reader sees, and is padded by them.
func TestTextIsMeasuredInColumns(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "anna": 4, "Zoë": 3, "Zoe\u0308": 3, "日本語": 6, "ｶﾀｶﾅ": 4, "한국": 4, "●…─": 3,
		"📱": 2, "👩‍👩‍👧": 2, "🇳🇱": 2, "👍🏽": 2, "❤️": 2, "a📱b": 4,
	} {
		if got := Columns(text); got != want {
			t.Errorf("%q: %d columns, want %d", text, got, want)
		}
		if l, r := Left(text, 8), Right(text, 8); Columns(l) != 8 || Columns(r) != 8 ||
			!strings.HasPrefix(l, text) || !strings.HasSuffix(r, text) {
			t.Errorf("padded: %q, %q", l, r)
		}
	}
	if Left("日本語", 2) != "日本語" {
		t.Error("a text that is too wide was changed")
	}
}

func TestTextIsWrappedAtBlanksAndNeverInACharacter(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    []string
	}{
		{"", 5, []string{""}},
		{"one two three", 8, []string{"one two", "three"}},
		{"one\ntwo", 8, []string{"one", "two"}},
		{"incomprehensible", 6, []string{"incomp", "rehens", "ible"}},
		{"日本語", 5, []string{"日本", "語"}},
		{"👩‍👩‍👧👩‍👩‍👧", 3, []string{"👩‍👩‍👧", "👩‍👩‍👧"}},
		{"日本", 1, []string{"日", "本"}},
		{"Zoe\u0308x", 3, []string{"Zoe\u0308", "x"}},
	} {
		if got := Wrap(tc.text, tc.columns); !slices.Equal(got, tc.want) {
			t.Errorf("%q in %d columns: %q, want %q", tc.text, tc.columns, got, tc.want)
		}
	}
}

func TestAWordIsQuotedWhereAShellNeedsIt(t *testing.T) {
	for word, want := range map[string]string{"": "''", "/srv/ledger": "/srv/ledger", "my ledger": "'my ledger'",
		"it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := Word(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestAPasswordIsOneLine(t *testing.T) {
	for in, want := range map[string]string{"twelve chars\nmore": "twelve chars", "twelve chars\r\n": "twelve chars",
		" a space each end ": " a space each end "} {
		if got, err := NewPassword(context.Background(), strings.NewReader(in), nil); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
