// Command eventstore is the current Go client of the event store against a running ledger.
//
//	ledgerline connect --output json | go run . STREAM
//
// STREAM is one of the ledger's streams of devices. Each promise that holds is a line, "promise:
// what was seen"; the first that does not is an error.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

type door struct{ URL, User, Password string }

// client takes the connection string with the account. It names the file of the authority.
func (d door) client() (*kurrentdb.Client, error) {
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(d.User, d.Password)
	cfg, err := kurrentdb.ParseConnectionString(u.String())
	if err != nil {
		return nil, err
	}
	cfg.Logger = kurrentdb.NoopLogging()
	cfg.MaxDiscoverAttempts = 1
	return kurrentdb.NewClient(cfg)
}

func main() {
	if err := run(os.Stdin, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, args []string) error {
	var doors struct {
		EventStore door
		Writer     *door
	}
	if err := json.NewDecoder(in).Decode(&doors); err != nil {
		return err
	}
	if len(args) != 1 {
		return errors.New("name a stream of a device")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reader := doors.EventStore
	client, err := reader.client()
	if err != nil {
		return err
	}
	defer client.Close()
	for _, check := range []func() error{
		func() error { return readStream(ctx, client, args[0]) },
		func() error { return readAll(ctx, client) },
		func() error { return subscribe(ctx, client) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	_, err = appendOrder(ctx, client)
	if err := refused("append by an account that may only read", err, kurrentdb.ErrorCodeAccessDenied); err != nil {
		return err
	}
	if doors.Writer != nil {
		doors.Writer.URL = reader.URL
		writer, err := doors.Writer.client()
		if err != nil {
			return err
		}
		defer writer.Close()
		revision, err := appendOrder(ctx, writer)
		if err != nil {
			return err
		}
		fmt.Println("append by a writer: revision", revision)
	}
	return strangers(ctx, reader, args[0])
}

func readStream(ctx context.Context, client *kurrentdb.Client, stream string) error {
	events, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{From: kurrentdb.Start{}}, math.MaxUint64)
	if err != nil {
		return err
	}
	return seen("stream", events, func(*kurrentdb.RecordedEvent) bool { return true })
}

// readAll filters by itself: this client's reads of $all, unlike its
// subscriptions, take no filter.
func readAll(ctx context.Context, client *kurrentdb.Client) error {
	events, err := client.ReadAll(ctx, kurrentdb.ReadAllOptions{From: kurrentdb.Start{}}, math.MaxUint64)
	if err != nil {
		return err
	}
	return seen("$all, filtered", events, func(e *kurrentdb.RecordedEvent) bool {
		return strings.HasPrefix(e.StreamID, "device-")
	})
}

func seen(promise string, events *kurrentdb.ReadStream, wanted func(*kurrentdb.RecordedEvent) bool) error {
	defer events.Close()
	var ids []string
	for {
		e, err := events.Recv()
		if errors.Is(err, io.EOF) {
			report(promise, ids)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", promise, err)
		}
		if wanted(e.Event) {
			ids = append(ids, e.Event.EventID.String())
		}
	}
}

func report(promise string, ids []string) {
	fmt.Printf("%s: %d events, %x\n", promise, len(ids), sha256.Sum256([]byte(strings.Join(ids, "\n"))))
}

func subscribe(ctx context.Context, client *kurrentdb.Client) error {
	filter := &kurrentdb.SubscriptionFilter{Type: kurrentdb.StreamFilterType, Prefixes: []string{"device-"}}
	options := kurrentdb.SubscribeToAllOptions{From: kurrentdb.Start{}, Filter: filter}
	subscription, err := client.SubscribeToAll(ctx, options)
	if err != nil {
		return err
	}
	defer subscription.Close()
	var ids []string
	for {
		switch e := subscription.Recv(); {
		case e.SubscriptionDropped != nil:
			return fmt.Errorf("the subscription was dropped: %w", e.SubscriptionDropped.Error)
		case e.EventAppeared != nil:
			ids = append(ids, e.EventAppeared.Event.EventID.String())
		case e.CheckPointReached != nil:
		case e.CaughtUp == nil || e.CaughtUp.Date.IsZero() || e.CaughtUp.Position == nil:
			return fmt.Errorf("CaughtUp without time or position: %+v", e)
		default:
			report("subscription until caught up", ids)
			return nil
		}
	}
}

func appendOrder(ctx context.Context, client *kurrentdb.Client) (revision uint64, err error) {
	options := kurrentdb.AppendToStreamOptions{StreamState: kurrentdb.NoStream{}}
	r, err := client.AppendToStream(ctx, "order-"+uuid.NewString(), options, kurrentdb.EventData{
		EventID: uuid.New(), EventType: "OrderPlaced", ContentType: kurrentdb.ContentTypeJson,
		Data: []byte(`{"total":12}`),
	})
	if err != nil {
		return 0, err
	}
	return r.NextExpectedVersion, nil
}

// refused reports the code of the client's error, which must be the one that tells what is wrong.
func refused(promise string, err error, want kurrentdb.ErrorCode) error {
	var e *kurrentdb.Error
	if !errors.As(err, &e) || e.Code() != want {
		return fmt.Errorf("%s: %w, want code %d", promise, err, want)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(e.Error(), "["), "]")
	fmt.Printf("%s: %s\n", promise, name)
	return nil
}

func strangers(ctx context.Context, reader door, stream string) error {
	wrong := reader
	wrong.Password = "wrong"
	unknown := reader
	unknown.URL, _, _ = strings.Cut(reader.URL, "?")
	unknown.URL += "?tls=true"
	for _, s := range []struct {
		promise string
		door    door
		code    kurrentdb.ErrorCode
	}{
		{"wrong password", wrong, kurrentdb.ErrorCodeUnauthenticated},
		{"without the authority", unknown, kurrentdb.ErrorUnavailable},
	} {
		client, err := s.door.client()
		if err != nil {
			return err
		}
		events, err := client.ReadStream(ctx, stream, kurrentdb.ReadStreamOptions{From: kurrentdb.Start{}}, 1)
		if err == nil {
			_, err = events.Recv()
			events.Close()
		}
		if err := errors.Join(refused(s.promise, err, s.code), client.Close()); err != nil {
			return err
		}
	}
	return nil
}
