package wire

import (
	"fmt"
	"strings"
)

// Kind says what an object is. The high byte is the package, the low byte counts. Numbers are never reused: one that is
// retired stays in the table with the word "retired".
type Kind uint16

// The kinds. docs/spec/wire.md holds the same table; a test compares them.
const (
	KindABEParams    Kind = 0x0101 // abe: public parameters
	KindABEAuthority Kind = 0x0102 // abe: master secret of an authority
	KindABEKey       Kind = 0x0103 // abe: a user's key
	KindABEObject    Kind = 0x0104 // abe: sealed object, header and payload

	KindABETransformKey Kind = 0x0105 // abe: a gateway's transform key
	KindABEMediatedKey  Kind = 0x0106 // abe: a user's key behind a gateway
	KindABETransformed  Kind = 0x0107 // abe: what a gateway makes of a header
	KindABEIssuerSet    Kind = 0x0108 // abe: public keys of t-of-n issuers
	KindABEIssuer       Kind = 0x0109 // abe: secret of one issuer
	KindABERequest      Kind = 0x010a // abe: request for a key
	KindABEApproval     Kind = 0x010b // abe: an issuer's approval of a request
	KindABEPartialKey   Kind = 0x010c // abe: partial key of one issuer
	KindABEAgeRecipient Kind = 0x010d // abe/agerecipient: params and a policy

	KindSSEPage     Kind = 0x0201 // sse: segment file header
	KindSSEManifest Kind = 0x0202 // sse: sealed manifest of a partition
	KindSSESchema   Kind = 0x0203 // sse: schema
	KindSSEHead     Kind = 0x0204 // sse: head file of a store folder
	KindSSEStore    Kind = 0x0205 // sse: marker file of a store folder
	KindSSECursor   Kind = 0x0206 // sse: where a page of hits ends
	KindSSERowSet   Kind = 0x0207 // sse: rows of a segment
	KindSSEToken    Kind = 0x0208 // sse: token for terms of segments

	KindHEKey    Kind = 0x0301 // he: secret key
	KindHEColumn Kind = 0x0302 // he: encrypted column
	KindHEAnswer Kind = 0x0303 // he: encrypted answer

	KindDPLedger  Kind = 0x0401 // dp: budget ledger file
	KindDPRelease Kind = 0x0402 // dp: released answer

	KindKeyRing    Kind = 0x0501 // keymgmt: ring file
	KindKeyRoot    Kind = 0x0502 // keymgmt: root file, never part of a backup
	KindKeyWrapped Kind = 0x0503 // keymgmt: key wrapped by a key-encryption key
	KindKeyReceipt Kind = 0x0504 // keymgmt: signed receipt of a destruction
	KindKeyFile    Kind = 0x0505 // keymgmt: key-encryption key in a file

	KindLedgerState Kind = 0x0601 // ledger: state of a log directory
	KindLedgerProof Kind = 0x0602 // ledger: inclusion or consistency proof
	KindLedgerBlobs Kind = 0x0603 // ledger: state of a blob directory
	KindLedgerNodes Kind = 0x0604 // ledger: nodes over the chunks of a blob

	KindWardState Kind = 0x0701 // examples/ward: progress of an ingest
)

var kindNames = map[Kind]string{
	KindABEParams: "abe public parameters", KindABEAuthority: "abe authority secret", KindABEKey: "abe key", KindABEObject: "abe sealed object",
	KindABETransformKey: "abe transform key", KindABEMediatedKey: "abe mediated key", KindABETransformed: "abe transformed header",
	KindABEIssuerSet: "abe issuer set", KindABEIssuer: "abe issuer secret", KindABERequest: "abe key request", KindABEApproval: "abe approval", KindABEPartialKey: "abe partial key", KindABEAgeRecipient: "abe age recipient",
	KindSSEPage: "sse segment", KindSSEManifest: "sse manifest", KindSSESchema: "sse schema", KindSSEHead: "sse head", KindSSEStore: "sse store folder", KindSSECursor: "sse cursor", KindSSERowSet: "sse row set", KindSSEToken: "sse token",
	KindHEKey: "he secret key", KindHEColumn: "he column", KindHEAnswer: "he answer",
	KindDPLedger: "dp budget ledger", KindDPRelease: "dp release",
	KindKeyRing: "keymgmt ring", KindKeyRoot: "keymgmt root", KindKeyWrapped: "keymgmt wrapped key", KindKeyReceipt: "keymgmt receipt", KindKeyFile: "keymgmt key file",
	KindLedgerState: "ledger log state", KindLedgerProof: "ledger proof", KindLedgerBlobs: "ledger blob directory state", KindLedgerNodes: "ledger blob node file",
	KindWardState: "ward progress",
}

// String names the kind for error messages, such as "abe key (0x0103)".
func (k Kind) String() string {
	name, ok := kindNames[k]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("%s (%#04x)", name, uint16(k))
}

// title is the beginning of errors about an object of the kind: "abe: key: ".
func (k Kind) title() string {
	if k == 0 {
		return ""
	}
	return strings.Replace(kindNames[k], " ", ": ", 1) + ": "
}
