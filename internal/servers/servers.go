package servers

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// patience is how long a server may take to answer, or a process to end. It is long: machines that run tests are busy.
const patience = time.Minute

// requireEnv names the environment variable that turns skipped tests into failed ones.
const requireEnv = "VEILCHART_SERVERS"

// ErrUnavailable is wrapped by the error of a server that is not installed. The message says how to get it.
var ErrUnavailable = errors.New("server is not installed")

// unavailable is the error for a server that cannot be had, with what to do about it.
func unavailable(server, remedy string) error {
	return fmt.Errorf("servers: %s: %w: %s", server, ErrUnavailable, remedy)
}

// Need ends the test if err is not nil: with a skip if it is ErrUnavailable and the tests may go without that server, otherwise with
// a failure.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable) && os.Getenv(requireEnv) != "require":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
