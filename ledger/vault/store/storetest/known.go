package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

func knownPage(n int, asOf uint64, seen int64) store.KnownPage {
	return store.KnownPage{First: bytes.Repeat([]byte{byte(n + 1)}, 16), AsOf: asOf, Seen: seen,
		Sealed: bytes.Repeat([]byte{byte(n)}, 1+n*97)}
}

func testKnown(t *testing.T, e *storeEnv) {
	var pages []store.KnownPage
	var firsts [][]byte
	for n := range 70 {
		pages = append(pages, knownPage(n, uint64(1+n), int64(100+n)))
		firsts = append(firsts, pages[n].First)
	}
	state := store.Known(e.tenants[0])
	e.put(func(r One) error {
		return errors.Join(r.PutKnown(store.KnownBatch{Pages: pages, State: []byte("first")}),
			r.PutKnown(store.KnownBatch{State: []byte("9"), Unsettled: []store.KnownUnsettled{
				{At: 2, Tags: []byte("12345678")}, {At: 9, Tags: []byte("abcdefgh")}}}))
	})
	is := func(what string, want []store.KnownPage, unsettled ...uint64) {
		t.Helper()
		e.read(func(r One) error {
			got, err := r.KnownPages(append(firsts, bytes.Repeat([]byte{200}, 16)))
			slices.SortFunc(got, func(a, b store.KnownPage) int { return cmp.Compare(len(a.Sealed), len(b.Sealed)) })
			listed(t, what, want...)(got, err)
			rows, err := r.KnownUnsettled(0)
			var at []uint64
			for _, u := range rows {
				at = append(at, u.At)
			}
			listed(t, what+", unsettled", unsettled...)(at, err)
			return nil
		})
	}
	is("as they were put", pages, 2, 9)
	e.read(func(r One) error {
		rows, err := r.KnownUnsettled(2)
		if err != nil || len(rows) != 1 || rows[0].At != 9 || string(rows[0].Tags) != "abcdefgh" {
			t.Errorf("what was unsettled after 2: %+v, %v", rows, err)
		}
		got, found, err := r.Setting(state)
		if err != nil || !found || string(got) != "9" {
			t.Errorf("the state: %q, %v, %v", got, found, err)
		}
		return nil
	})
	pages[3] = knownPage(3, 90, 190)
	e.put(func(r One) error {
		return r.PutKnown(store.KnownBatch{Pages: pages[3:4],
			Unsettled: []store.KnownUnsettled{{At: 9, Tags: []byte("ABCDEFGH")}}, State: []byte("90")})
	})
	is("replaced", pages, 2, 9)
	e.update(e.tenants[1], func(r One) error {
		one := store.KnownBatch{Pages: []store.KnownPage{knownPage(0, 1, 1)}, State: []byte("1")}
		return errors.Join(r.PutKnown(one),
			r.ExpireKnown(1000, 1000), r.DeleteKnown())
	})
	is("whatever another tenant forgets", pages, 2, 9)
	e.put(func(r One) error { return r.ExpireKnown(103, 2) })
	is("the oldest, so many at a time; and what was unsettled before the others", pages[2:], 9)
	e.put(func(r One) error { return r.ExpireKnown(103, 1000) })
	is("those that were not seen since", pages[3:], 9)
	e.put(func(r One) error { return r.ExpireKnown(112, 1000) })
	is("and what they were unsettled by", append([]store.KnownPage{pages[3]}, pages[12:]...))
	e.put(func(r One) error { return r.DeleteKnown() })
	is("nothing", nil)
	e.put(func(r One) error {
		return errors.Join(r.PutKnown(store.KnownBatch{State: []byte("x"),
			Unsettled: []store.KnownUnsettled{{At: 11, Tags: []byte("abcdefgh")}}}), r.ExpireKnown(0, 1))
	})
	is("nothing is unsettled where there is no page", nil)
}
