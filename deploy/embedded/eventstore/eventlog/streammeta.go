package eventlog

import "bytes"

// Metadata returns the data of the newest event in the stream's metastream, nil
// where there is none. The caller owns the slice.
func (v *View) Metadata(stream string) (data []byte, err error) {
	h, err := readHead(v.snap, stream)
	if err != nil || h.MetaPosition == 0 {
		return nil, err
	}
	err = v.Event(h.MetaPosition, func(r *Record) { data = bytes.Clone(r.Data) })
	return data, err
}
