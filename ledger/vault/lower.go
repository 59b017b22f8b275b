package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// LowerAnchor notes an anchor of a lower sequence than the one noted: the ledger has lost what
// came after it, for good, and somebody has accepted that. Any other is SaveAnchor's.
func (v *Vault) LowerAnchor(ctx context.Context, a schemas.Anchor) error {
	err := v.update(ctx, uuid.Nil, func(rows store.Rows) error {
		bound, ok, err := boundTo(rows)
		switch {
		case err != nil:
			return err
		case !ok || bound != a.LedgerID:
			return ErrOtherLedger
		}
		was, ok, err := anchorOf(rows)
		if err != nil {
			return err
		}
		if !ok || was.Seq <= a.Seq {
			return errors.New("the anchor noted is not of a higher sequence")
		}
		// What stood behind it is gone, the orders among it too.
		return errors.Join(rows.PutSetting(settingAnchor, encodeAnchor(a)), rows.PutSetting(settingOrders, nil))
	})
	if err != nil {
		return fmt.Errorf("lower the vault's anchor: %w", err)
	}
	return nil
}
