package projections

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Why a token did not open. ErrErased and ErrExpired are said only with a tombstone that proves
// it.
var (
	ErrErased        = errors.New("erased: the person's key was destroyed")
	ErrExpired       = errors.New("expired: the period's key was destroyed")
	ErrLost          = errors.New("lost: the vault was restored from a copy that never held the key")
	ErrTampered      = errors.New("tampered: the value does not open under its own key")
	ErrNotAuthorised = errors.New("not authorised to see the value")
)

// Opened is what became of one token: the JSON text of its value, or why there is none.
type Opened struct {
	Plain []byte
	Err   error // wraps one of the errors above
}

// Sealed is a token and where it stood: what the asker knows of it, and not what the token says
// of itself. A token that was sealed for another attribute or event is ErrTampered, however it
// came to stand there.
type Sealed struct {
	Token     schemas.Token
	Header    schemas.TokenHeader // Token taken apart, by Token.Parse
	Body      []byte              // its memory may become that of what is opened
	Attribute string              // attribute id, without path
	Event     uuid.UUID           // the event that contains it; uuid.Nil where the view does not name it
}

// Opener opens tokens of the tenant whose session it is. It answers in the order asked, one
// Opened a token; its error says that nothing could be asked (the vault does not answer, ctx
// ended), and then there is no answer.
type Opener interface {
	Open(ctx context.Context, tokens []Sealed) ([]Opened, error)
}

// Searcher is an Opener that also looks into tokens for what is sought among them. Nobody is shown
// what Search answers: what is to be shown is opened, and only that is an access to somebody's
// data.
type Searcher interface {
	Opener
	Search(ctx context.Context, tokens []Sealed) ([]Opened, error)
}
