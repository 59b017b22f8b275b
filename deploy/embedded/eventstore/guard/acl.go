package guard

import (
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Access to a stream is given by lists of roles: users, groups, "$all" for
// everybody. A stream's own stand in its metadata under "$acl"; what those
// leave out is as the system's defaults say, which the stream "$settings" may
// change. Members of "$admins" are bound by none.

// Action is what a call does to a stream.
type Action int

const (
	ActionRead Action = iota
	ActionWrite
	ActionDelete
	ActionMetaRead
	ActionMetaWrite
	actions
)

func (a Action) String() string {
	return [...]string{"read", "written to", "deleted", "asked for its metadata", "given metadata"}[a]
}

// AllStream is the name under which all streams are read as one.
const AllStream = "$all"

// settingsStream holds the defaults, as on a real server.
const settingsStream = "$settings"

// acl is one level of lists; a nil list says nothing, an empty one names nobody.
type acl [actions][]string

// aclKeys are the lists' names in "$acl", by action.
var aclKeys = [actions]string{"$r", "$w", "$d", "$mr", "$mw"}

// Without any settings everybody may do everything with a stream, and only
// administrators anything with the system's, $all among them.
var (
	defaultUserACL   = acl{{roleAll}, {roleAll}, {roleAll}, {roleAll}, {roleAll}}
	defaultSystemACL = acl{{groupAdmins}, {groupAdmins}, {groupAdmins}, {groupAdmins}, {groupAdmins}}
	nobodyACL        = acl{{}, {}, {}, {}, {}}
)

// over returns the lists of a, and where it has none those of b.
func (a acl) over(b acl) acl {
	for i := range a {
		if a[i] == nil {
			a[i] = b[i]
		}
	}
	return a
}

// parseACL reads lists of roles, each a text or an array of texts. ok is false
// for what is no such thing.
func parseACL(raw json.RawMessage) (a acl, ok bool) {
	if string(raw) == "null" {
		return a, true
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(raw, &doc) != nil {
		return a, false
	}
	for i, key := range aclKeys {
		list, given := doc[key]
		if !given || string(list) == "null" {
			continue
		}
		var one string
		if json.Unmarshal(list, &one) == nil {
			a[i] = []string{one}
			continue
		}
		var many []string
		if json.Unmarshal(list, &many) != nil {
			return a, false
		}
		a[i] = append([]string{}, many...)
	}
	return a, true
}

// metadataACL reads "$acl" of a stream's metadata. Metadata that is no JSON
// object has none, as for $maxCount and the like. A list that cannot be read
// gives nobody anything: the writer meant to restrict somebody.
func metadataACL(data []byte) acl {
	var doc map[string]json.RawMessage
	if json.Unmarshal(data, &doc) != nil {
		return acl{}
	}
	raw, ok := doc["$acl"]
	if !ok {
		return acl{}
	}
	a, ok := parseACL(raw)
	if !ok {
		return nobodyACL
	}
	return a
}

// settingsACL reads one default of the system's settings; administrators alone
// have what cannot be read.
func settingsACL(data []byte, key string, fallback acl) acl {
	if data == nil {
		return fallback
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(data, &doc) != nil {
		return defaultSystemACL
	}
	raw, ok := doc[key]
	if !ok {
		return fallback
	}
	a, ok := parseACL(raw)
	if !ok {
		return defaultSystemACL
	}
	return a.over(fallback)
}

// Rights are what access control lists and the configuration say of one log. The
// fields' meanings are those of the server's configuration.
type Rights struct {
	Log              *eventlog.Log
	Now              func() time.Time
	ProtectStreams   *regexp.Regexp
	ProtectedWriters []string
	AllReaders       []string
}

// Protected tells whether the stream's deletion and metadata are refused to everybody.
func (r *Rights) Protected(stream string) bool {
	return r.ProtectStreams != nil && r.ProtectStreams.MatchString(stream)
}

// access answers what one principal may do, as of one view.
type access struct {
	rights *Rights
	view   *eventlog.View
	who    Principal
}

// may tells whether the principal may do a with the stream. For a metastream,
// reading and writing are what its stream's lists say of metadata.
func (s access) may(a Action, stream string) (bool, error) {
	if s.who.readOnly {
		return a == ActionRead || a == ActionMetaRead, nil
	}
	if s.who.Admin() {
		return true, nil
	}
	if s.who.Name == "" {
		return false, nil
	}
	if layout.IsMetastream(stream) {
		stream = layout.OriginalOf(stream)
		switch a {
		case ActionRead:
			a = ActionMetaRead
		case ActionWrite:
			a = ActionMetaWrite
		default:
			return false, nil
		}
	}
	changes := a != ActionRead && a != ActionMetaRead
	if changes && len(s.rights.ProtectedWriters) > 0 && s.rights.Protected(stream) {
		return a == ActionWrite && slices.ContainsFunc(s.rights.ProtectedWriters, s.who.has), nil
	}
	if stream == AllStream && a == ActionRead && slices.ContainsFunc(s.rights.AllReaders, s.who.has) {
		return true, nil
	}
	list, err := s.list(a, stream)
	return slices.ContainsFunc(list, s.who.has), err
}

// list is who may do a with the stream: as its metadata says, or as the
// defaults do.
func (s access) list(a Action, stream string) ([]string, error) {
	var settings []byte
	if s.view.HasSystemStreams() { // otherwise there are neither
		meta, err := s.view.Metadata(stream)
		if err != nil {
			return nil, err
		}
		if list := metadataACL(meta)[a]; list != nil {
			return list, nil
		}
		if settings, err = s.settings(); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(stream, "$") {
		return settingsACL(settings, "$systemStreamAcl", defaultSystemACL)[a], nil
	}
	return settingsACL(settings, "$userStreamAcl", defaultUserACL)[a], nil
}

// settings is the newest event's data of the settings stream, nil for none.
func (s access) settings() (data []byte, err error) {
	rng, err := s.view.Stream(settingsStream, s.rights.Now())
	if errors.Is(err, eventlog.ErrStreamNotFound) || errors.Is(err, eventlog.ErrStreamDeleted) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = s.view.ScanStream(settingsStream, rng.First, math.MaxInt64, true,
		func(_ uint64, e eventlog.IndexEntry) (bool, error) {
			return false, s.view.Event(e.Position, func(r *eventlog.Record) { data = slices.Clone(r.Data) })
		})
	return data, err
}

// May tells whether p may do a with the stream, by the newest view.
func (r *Rights) May(p Principal, a Action, stream string) (ok bool, err error) {
	if p.Admin() && !p.readOnly {
		return true, nil
	}
	v := r.Log.Acquire()
	defer func() { err = errors.Join(err, v.Release()) }()
	return access{r, v, p}.may(a, stream)
}

// MayIn tells whether p may do a with the stream, as of the view.
func (r *Rights) MayIn(v *eventlog.View, p Principal, a Action, stream string) (bool, error) {
	return access{r, v, p}.may(a, stream)
}

// CanRead tells whether p may read the stream, as of the view: for what a link
// points to. A check that fails counts as no.
func (r *Rights) CanRead(v *eventlog.View, p Principal, stream string) bool {
	ok, err := access{r, v, p}.may(ActionRead, stream)
	return ok && err == nil
}
