package guard

import (
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
)

// Bounds of hearing out whom nobody knows: a message is of 16 MiB at most.
const (
	hearOutMost = 4
	hearOutTime = time.Second
)

// Wait waits for the clients that are heard out; their calls have ended before.
func (a *Authenticator) Wait() { a.hearers.Wait() }

// hearOut takes what the client of a refused append still sends, so that it
// sees the refusal: official clients that meet the end of a call while they
// send say "EOF" and no more. Few are heard at a time, and not for long; the
// others are refused at once.
func (a *Authenticator) hearOut(ss grpc.ServerStream) {
	select {
	case a.hearing <- struct{}{}:
	default:
		return
	}
	heard := make(chan struct{})
	a.hearers.Go(func() { // ends with the call at the latest
		defer close(heard)
		defer func() { <-a.hearing }()
		for ss.RecvMsg(new(shared.Empty)) == nil {
		}
	})
	patience := time.NewTimer(a.patience)
	defer patience.Stop()
	select {
	case <-heard:
	case <-patience.C:
	case <-ss.Context().Done():
	}
}
