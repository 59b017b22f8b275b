package terminal_test

import (
	"testing"

	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// What is typed for an account is refused by one rule, whoever looks first.
func TestATypedPasswordIsAsLongAsAnAccountNeeds(t *testing.T) {
	if terminal.LeastPassword != accounts.LeastPassword {
		t.Errorf("a terminal takes passwords of %d characters, an account of %d", terminal.LeastPassword,
			accounts.LeastPassword)
	}
}
