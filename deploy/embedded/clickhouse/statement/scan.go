package statement

// Scan returns all tokens of a text.
func Scan(text string) (toks []Token) {
	sc := &scanner{s: text}
	for t := sc.next(); t.Kind != tokEnd; t = sc.next() {
		toks = append(toks, t)
	}
	return toks
}
