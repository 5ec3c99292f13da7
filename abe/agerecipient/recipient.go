package agerecipient

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/veilchart/veilchart/abe"
)

const (
	stanzaType = "veilchart"

	// purpose comes before the caller's associated data, so that no other object sealed under the same authority passes for a file key.
	purpose = "veilchart/age/v1/file-key:"

	fileKeySize = 16        // of age
	labelSize   = 16        // random bytes of a label
	payloadSize = 56        // of a sealed file key without it: head 40, tag 16
	maxBody     = 72 * 1024 // a header has 64 KiB and a little at most
)

// Recipient encrypts age files to a policy. It is immutable and safe for concurrent use. Get one from NewRecipient or ParseRecipient.
type Recipient struct {
	params *abe.Params
	policy *abe.Policy
	opts   abe.Options
}

var (
	_ age.Recipient           = (*Recipient)(nil)
	_ age.RecipientWithLabels = (*Recipient)(nil)
	_ age.Identity            = (*Identity)(nil)
)

var errNoRecipient = errors.New("agerecipient: no recipient: get one from NewRecipient or ParseRecipient")

// NewRecipient returns a recipient for everybody who has a key of this authority that satisfies the policy. opts may be nil; it holds what
// Params.Seal takes, and whoever opens needs the same associated data and companion. They are not part of the recipient's text.
func NewRecipient(params *abe.Params, policy *abe.Policy, opts *abe.Options) (*Recipient, error) {
	r := &Recipient{params: params, policy: policy, opts: ownOptions(opts)}
	if _, err := r.Wrap(make([]byte, fileKeySize)); err != nil { // refuses here what it would refuse later
		return nil, err
	}
	return r, nil
}

// ownOptions is a copy with the purpose in the associated data.
func ownOptions(opts *abe.Options) (own abe.Options) {
	if opts != nil {
		own = *opts
		own.Companion = bytes.Clone(opts.Companion)
	}
	own.AssociatedData = append([]byte(purpose), own.AssociatedData...)
	return own
}

// Params returns the params of the authority. They came with the recipient: compare the fingerprint with the one you know.
func (r *Recipient) Params() *abe.Params { return r.params }

// Policy returns the policy.
func (r *Recipient) Policy() *abe.Policy { return r.policy }

// Wrap seals the file key. Most callers pass the recipient to age.Encrypt, which calls WrapWithLabels.
func (r *Recipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	if r == nil || r.params == nil || r.policy == nil {
		return nil, errNoRecipient
	}
	if len(fileKey) != fileKeySize {
		return nil, fmt.Errorf("agerecipient: an age file key has %d bytes, not %d", fileKeySize, len(fileKey))
	}
	body, err := r.params.Seal(r.policy, fileKey, &r.opts)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: stanzaType, Body: body}}, nil
}

// WrapWithLabels is Wrap, and returns a random label, so that age refuses every other recipient for the same file.
func (r *Recipient) WrapWithLabels(fileKey []byte) (stanzas []*age.Stanza, labels []string, err error) {
	if stanzas, err = r.Wrap(fileKey); err != nil {
		return nil, nil, err
	}
	label := make([]byte, labelSize)
	rand.Read(label)
	return stanzas, []string{stanzaType + "-" + hex.EncodeToString(label)}, nil
}
