package agerecipient

import (
	"errors"
	"fmt"

	"filippo.io/age/plugin"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/internal/wire"
)

// Name is the name of the plugin: recipients are age1veilchart1..., identities AGE-PLUGIN-VEILCHART-1..., and age looks for a program
// age-plugin-veilchart.
const Name = "veilchart"

const (
	recipientVersion = 1
	maxParams        = 80 << 10 // a vocabulary of 64 KiB and the public key
	maxPolicy        = 4 << 10
	maxText          = 1 << 20
)

// String returns the recipient as text: age1veilchart1... It holds the params and the policy, so that nothing else is needed to encrypt; options
// are left out. It has some 1,000 characters, and 1.6 for each byte of policy and vocabulary. age takes a recipients file (-R) with
// lines of up to 8,192; a longer recipient is given with -r.
func (r *Recipient) String() string {
	if r == nil || r.params == nil || r.policy == nil {
		return ""
	}
	return plugin.EncodeRecipient(Name, r.bytes())
}

// bytes is docs/spec/age.md section 2.
func (r *Recipient) bytes() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEAgeRecipient, Version: recipientVersion})
	b = wire.AppendBytes(b, r.params.Bytes())
	return wire.AppendString(b, r.policy.String())
}

// ParseRecipient reads what String wrote. opts is that of NewRecipient. Errors about the text have abe.ErrFormat in their chain.
func ParseRecipient(text string, opts *abe.Options) (*Recipient, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("agerecipient: %w: a recipient has %d characters at most", abe.ErrFormat, maxText)
	}
	name, data, err := plugin.ParseRecipient(text)
	if err != nil {
		return nil, fmt.Errorf("agerecipient: %w: %w: copy the whole of it, on one line", abe.ErrFormat, err)
	}
	if name != Name {
		return nil, fmt.Errorf("agerecipient: %w: this is a recipient for age-plugin-%s", abe.ErrFormat, name)
	}
	d := wire.NewDecoder(data)
	h := d.Header(wire.KindABEAgeRecipient)
	if d.Err() == nil && (h.Version != recipientVersion || h.Suite != 0) {
		d.Failf("version %d, suite %d of a recipient is not known here, a newer version of the library may read it", h.Version, h.Suite)
	}
	encoding, policyText := d.Bytes(maxParams), d.String(maxPolicy)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("agerecipient: the recipient: %w", err)
	}
	policy, err := abe.ParsePolicy(policyText)
	if err != nil {
		return nil, fmt.Errorf("agerecipient: %w: the policy of the recipient: %w", abe.ErrFormat, err)
	}
	if policy.String() != policyText {
		return nil, fmt.Errorf("agerecipient: %w: the policy of the recipient is not in its canonical form", abe.ErrFormat)
	}
	params, err := abe.NewParams(encoding)
	if err != nil {
		return nil, fmt.Errorf("agerecipient: the params of the recipient: %w", err)
	}
	if err := params.Vocabulary().Check(policy); err != nil {
		return nil, fmt.Errorf("agerecipient: %w: the policy of the recipient does not fit its params: %w", abe.ErrFormat, err)
	}
	return NewRecipient(params, policy, opts)
}

// ExposeSecret returns the identity as text, with the key in the clear: AGE-PLUGIN-VEILCHART-1... Options are left out. age reads identity files with
// lines of up to 64 KiB, which hold some 800 components of a key.
func (i *Identity) ExposeSecret() string {
	if i == nil || i.key == nil {
		return ""
	}
	return plugin.EncodeIdentity(Name, i.key.ExposeSecret())
}

// ParseIdentity reads what ExposeSecret wrote. opts is that of NewIdentity. Errors about the text have abe.ErrFormat in their chain and do not
// repeat it. Cost: that of abe.NewKey.
func ParseIdentity(text string, opts *abe.Options) (*Identity, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("agerecipient: %w: an identity has %d characters at most", abe.ErrFormat, maxText)
	}
	name, data, err := plugin.ParseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("agerecipient: %w: this is no plugin identity: copy the whole of it, on one line", abe.ErrFormat)
	}
	if name != Name {
		return nil, fmt.Errorf("agerecipient: %w: this is an identity for another plugin", abe.ErrFormat)
	}
	key, err := abe.NewKey(data)
	if errors.Is(err, abe.ErrFormat) {
		return nil, fmt.Errorf("agerecipient: the identity: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return NewIdentity(key, opts)
}
