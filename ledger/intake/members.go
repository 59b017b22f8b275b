package intake

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// within puts the path of the object that a field lies in before its name.
func within(path string, err error) error {
	var f *fieldError
	if errors.As(err, &f) {
		return &fieldError{path + f.field, f.reason}
	}
	return err
}

// name returns a member as a name: with single blanks, "" for a placeholder.
func (m members) name(field string) string { return strings.Join(strings.Fields(m.known(field)), " ") }

// size returns a member that is a whole number of bytes, "" for none and for 0.
func (m members) size(field string) (json.Number, error) {
	raw := m[field]
	if isEmpty(raw) {
		return "", nil
	}
	s, _ := asText(raw)
	n, ok := 0.0, s != ""
	if ok {
		n, ok = parseNumber(s)
	}
	if !ok || n != math.Trunc(n) {
		return "", &fieldError{field, "is no whole number"}
	}
	if n == 0 {
		return "", nil
	}
	return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), nil
}
