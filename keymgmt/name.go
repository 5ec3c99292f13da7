package keymgmt

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 255

// The ring's own keys live under a tenant that callers cannot use.
const (
	reservedTenant  = "veilchart"
	nameReceiptSeed = "veilchart/receipt-signing" // Ed25519 seed, version 1
	nameReceipt     = "veilchart/receipt"         // version n is the n-th receipt
)

var errName = errors.New("names have 1 to 255 bytes of printable UTF-8, in segments divided by single slashes")

// checkName holds the rules of names, for decoders as well.
func checkName(name string) error {
	if len(name) < 1 || len(name) > maxName || !utf8.ValidString(name) {
		return errName
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errName
		}
	}
	for s := range strings.SplitSeq(name, "/") {
		if s == "" {
			return errName
		}
	}
	return nil
}

// checkCallerName is checkName without the ring's own names.
func checkCallerName(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("keymgmt: key name %q: %w", name, err)
	}
	if name == reservedTenant || tenantOf(name) == reservedTenant {
		return fmt.Errorf("keymgmt: key name %q: names under %q belong to the ring itself: choose another first segment", name, reservedTenant)
	}
	return nil
}

// tenantOf is the first segment of a path, or "" for a name without a slash, which belongs to the ring itself.
func tenantOf(name string) string {
	tenant, _, ok := strings.Cut(name, "/")
	if !ok {
		return ""
	}
	return tenant
}

// position is where a key version stands in its tenant's tree: by name, then by version.
type position struct {
	name    string
	version uint32
}

func (p position) compare(q position) int {
	return cmp.Or(strings.Compare(p.name, q.name), cmp.Compare(p.version, q.version))
}
