package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/ledger/ledgertest"
)

func TestDirBlobs(t *testing.T) {
	ledgertest.TestBlobs(t, func(t *testing.T) ledger.Blobs {
		b, err := ledger.OpenBlobs(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		return b
	})
}
