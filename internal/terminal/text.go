package terminal

import (
	"fmt"
	"strings"

	"github.com/rivo/uniseg"
)

// Bytes writes a size in the greatest of KiB, MiB and GiB that leaves a digit before the point.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// Count writes a number in groups of three digits: 1,234,567.
func Count[T ~int | ~int64 | ~uint64](n T) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}

// Columns returns how many columns of a terminal a line takes: two for a character of Chinese,
// Japanese or Korean and for an emoji, none for an accent that stands on another character. What
// is one character to its reader, as a family of emoji, is measured as one.
func Columns(line string) int { return uniseg.StringWidth(line) }

// Left returns a text with blanks behind it up to that many columns.
func Left(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-Columns(text)))
}

// Right returns a text with blanks before it up to that many columns.
func Right(text string, columns int) string {
	return strings.Repeat(" ", max(0, columns-Columns(text))) + text
}

// Wrap breaks a text into lines of at most that many columns, at blanks where it can, and never
// within what is one character to its reader; one that is wider stands alone.
func Wrap(text string, columns int) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		for Columns(line) > columns {
			cut := cutAt(line, columns)
			if cut == len(line) { // one character, wider than the columns
				break
			}
			out = append(out, strings.TrimRight(line[:cut], " "))
			line = strings.TrimLeft(line[cut:], " ")
		}
		out = append(out, line)
	}
	return out
}

// cutAt returns where a line that is too long breaks: behind its last blank within the columns, or
// else behind the last character that fits, at least one.
func cutAt(line string, columns int) int {
	fits, blank, used := 0, 0, 0
	for rest, state := line, -1; rest != ""; {
		var character string
		var width int
		character, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += width; used > columns && fits > 0 {
			break
		}
		fits += len(character)
		if character == " " {
			blank = fits
		}
		if used > columns {
			break
		}
	}
	if blank > 0 {
		return blank
	}
	return fits
}

// Word returns a word of a command line, in quotes where a shell needs some.
func Word(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("/._-+:@%,=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
