package intake

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/schemas"
)

// Whatever the bound of what is known at once, the same becomes of the same records: those that
// wait for room are planned in their order.
func TestWaitingForRoomChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		roomy, narrow := newWorld(t, false), newWorld(t, false)
		rt.Cleanup(roomy.close)
		rt.Cleanup(narrow.close)
		roomy.ignorant, narrow.ignorant = true, true
		narrow.maxKnown = rapid.SampledFrom([]int{1, usual, 4 * usual}).Draw(rt, "bytes")
		narrow.config.Workers = rapid.IntRange(1, 2).Draw(rt, "workers") // else all are begun at once
		records := anyRecords(rt)
		for _, which := range []string{"new", "again"} {
			fsys := fstest.MapFS{}
			for n, r := range rapid.Permutation(records).Draw(rt, which) {
				fsys[fmt.Sprintf("%03d", n)] = aFile(r)
			}
			var sums [2]Summary
			for i, w := range []*world{roomy, narrow} {
				for _, dry := range []bool{true, false} {
					s, err := w.intake().Import(context.Background(), w.tenant,
						Source{Paths: []string{"."}, FS: fsys, DryRun: dry}, nil)
					if err != nil || !s.Balanced() || !s.OK() {
						rt.Fatalf("%+v %v", s, err)
					}
					sums[i] = s
				}
			}
			if a, b := schemas.JSON(sums[0]), schemas.JSON(sums[1]); !bytes.Equal(a, b) {
				rt.Errorf("%s: with room\n%s\nwithout\n%s", which, a, b)
			}
		}
		if got, want := narrow.canonical(), roomy.canonical(); got != want {
			rt.Errorf("without room:\n%s\nwith:\n%s", got, want)
		}
	})
}

// usual is about what the state of a device takes that a property makes.
const usual = 8 << 10

// withApps is a device's record of Graph with so many apps.
func withApps(n, apps int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"@odata.type":"#microsoft.graph.managedDevice","id":"a1a1a1a1-0000-4000-8000-%012d",`+
		`"managedDeviceOwnerType":"company","lastSyncDateTime":"2026-01-05T09:00:00Z","detectedApps":[`, n)
	for i := range apps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%064d","displayName":"Publisher and product %d","version":"1.%d.0",`+
			`"publisher":"Publisher","sizeInByte":%d,"deviceCount":0,"platform":"windows"}`, i, i, n, 1000*i)
	}
	b.WriteString("]}")
	return b.String()
}

// What is known of a batch's streams stays within its bound, by one stream; the others are noted
// as unread. What the cache keeps stays within its own.
func TestWhatIsKnownIsBoundedByBytes(t *testing.T) {
	const devices, apps = 24, 400
	w := newWorld(t, false)
	fsys := fstest.MapFS{}
	for n := range devices {
		fsys[fmt.Sprintf("%03d", n)] = aFile(withApps(n, apps))
	}
	w.config.Workers = 1
	in := w.intake()
	if s, err := in.Import(context.Background(), w.tenant, Source{Paths: []string{"."}, FS: fsys}, nil); err != nil ||
		s.Recorded != devices {
		t.Fatalf("%+v %v", s, err)
	}
	needs := w.devices()
	k := &known{order: sortedKeys(needs), needs: needs, states: map[schemas.Stream]*plan.StreamState{}}
	if err := in.read(t.Context(), w.tenant.ID, newLeftOut(w.config.Logger), k, nil); err != nil {
		t.Fatal(err)
	}
	one := k.bytes / devices
	if len(k.states) != devices || len(k.unread) > 0 || one < 150*apps {
		t.Fatalf("%d states of %d bytes each, %d unread", len(k.states), one, len(k.unread))
	}
	in.maxKnown = 5*one + one/2
	k.states, k.memories = map[schemas.Stream]*plan.StreamState{}, nil
	if err := in.read(t.Context(), w.tenant.ID, newLeftOut(w.config.Logger), k, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(k.states); n < 3 || len(k.unread) != devices-n || k.bytes > in.maxKnown+one {
		t.Errorf("%d states of %d bytes, %d unread; the bound is %d", len(k.states), k.bytes, len(k.unread),
			in.maxKnown)
	}
	cache, now := newStateCache(), w.clock.Now()
	for st := range states(k) {
		size := st.Size()
		for range 2*maxCachedBytes/size + 1 {
			again := *st
			again.Stream = schemas.NewStream("device", uuid.New())
			cache.put(&again, now)
			if cache.bytes > maxCachedBytes || cache.order.Len() != len(cache.by) {
				t.Fatalf("the cache holds %d bytes, %d states", cache.bytes, len(cache.by))
			}
		}
		if cache.bytes < maxCachedBytes/2 {
			t.Errorf("the cache holds no more than %d bytes", cache.bytes)
		}
		break
	}
	cache.put(&plan.StreamState{Stream: schemas.NewStream("device", uuid.New()), Folded: now}, now.Add(time.Hour))
	if cache.order.Len() > 0 || cache.bytes != 0 {
		t.Errorf("the cache keeps %d states that are too old, %d bytes", cache.order.Len(), cache.bytes)
	}
}

func states(k *known) func(func(*plan.StreamState) bool) {
	return func(yield func(*plan.StreamState) bool) {
		for _, s := range sortedKeys(k.states) {
			if !yield(k.states[s]) {
				return
			}
		}
	}
}

// What a state says it takes is what the heap says, about: bounds are made of it.
func TestAStateSaysWhatItTakes(t *testing.T) {
	const devices = 20
	for _, apps := range []int{0, 40, 2_000} {
		w := newWorld(t, false)
		fsys := fstest.MapFS{}
		for n := range devices {
			fsys[fmt.Sprintf("%03d", n)] = aFile(withApps(n, apps))
		}
		in := w.intake()
		src := Source{Paths: []string{"."}, FS: fsys}
		if _, err := in.Import(context.Background(), w.tenant, src, nil); err != nil {
			t.Fatal(err)
		}
		needs := w.devices()
		k := &known{order: sortedKeys(needs), needs: needs, states: map[schemas.Stream]*plan.StreamState{}}
		before := heap()
		if err := in.read(t.Context(), w.tenant.ID, newLeftOut(w.config.Logger), k, nil); err != nil {
			t.Fatal(err)
		}
		k.memories = nil
		took, said := heap()-before, 0
		for _, st := range k.states {
			said += st.Size()
		}
		if ratio := float64(said) / float64(took); apps > 0 && (ratio < 0.6 || ratio > 2) {
			t.Errorf("%d apps: states that take %d bytes say that they take %d", apps, took, said)
		}
		runtime.KeepAlive(k)
	}
}

// devices are the streams of the world's devices.
func (w *world) devices() map[schemas.Stream]bool {
	out := map[schemas.Stream]bool{}
	for _, e := range w.store.Events() {
		if e.Stream.Kind() == "device" {
			out[e.Stream] = true
		}
	}
	return out
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
