package dp

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid is wrapped when a query, a limit or a name cannot be served as it stands. Nothing was spent. Show it to who
	// wrote the query.
	ErrInvalid = errors.New("dp: invalid request")

	// ErrDamaged is wrapped when the ledger file is not what this package wrote under this key. Branch on it to stop all
	// releases and to call someone: the error names the file and what to do.
	ErrDamaged = errors.New("dp: the ledger file is damaged, or the key is not its key")

	// ErrRollback is wrapped when the file is older than the anchor given to Open, or than what this process has already seen.
	ErrRollback = errors.New("dp: the ledger file is behind its anchor")

	// ErrPoisoned is wrapped after a failed fsync: what is on disk is unknown until the ledger is opened again.
	ErrPoisoned = errors.New("dp: the ledger must be opened again")

	// ErrKeepSpent is for callbacks of Release: an error that wraps it says that messages have left already, so the
	// reservation stays spent instead of being voided.
	ErrKeepSpent = errors.New("dp: messages have left; the reservation stays spent")
)

// A BudgetError says that a question costs more than what is left. Nothing was spent.
type BudgetError struct {
	Querier string // who asked
	Global  bool   // the cap over all queriers is short, not this querier's own budget
	Need    Cost
	Left    Cost
}

// Error says what is short and by how much.
func (e *BudgetError) Error() string {
	whose := fmt.Sprintf("the budget of %q", e.Querier)
	if e.Global {
		whose = "the budget of all queriers together"
	}
	return fmt.Sprintf("dp: %s has %v left, the question needs %v: ask for less accuracy, repeat a question that was answered (free), or stop here; budgets do not refill", whose, e.Left, e.Need)
}
