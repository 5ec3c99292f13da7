// Package abe seals records under policies: the policy travels with the record, the key with the person, and no server in
// between decides. It is ciphertext-policy attribute-based encryption for hospitals.
//
// An Authority issues keys for attributes such as role = doctor. Params are public: with them anybody seals under a policy
// such as
//
//	role = doctor and (dept = cardiology or dept = "intensive care")
//
// and only a Key whose attributes satisfy the policy opens the object. Two people cannot put their keys together: what
// neither may read alone, they cannot read as a pair.
//
//	authority, err := abe.GenerateAuthority()
//	...
//	doctor, err := authority.IssueKey(abe.Attribute{Name: "role", Value: "doctor"}, abe.Attribute{Name: "dept", Value: "cardiology"})
//	...
//	policy, err := abe.ParsePolicy(`role = doctor and (dept = cardiology or dept = "intensive care")`)
//	...
//	sealed, err := authority.Params().Seal(policy, []byte("blood pressure 120/80"), nil)
//	...
//	plaintext, err := doctor.Open(sealed, nil)
//
// The scheme is FABEO (Riepel and Wee, CCS 2022) over BLS12-381 with its multi-use index, made an IND-CCA key encapsulation
// by the transformation of Fujisaki and Okamoto. FABEO is proven adaptively secure in the generic group model together with
// the random oracle model; that is weaker evidence than a proof from a standard assumption. BLS12-381 is commonly put
// at 117 to 120 bits of security; none of this withstands a quantum computer. Payloads are in Tink's AES256-GCM-HKDF streaming format.
//
// Bounds: a policy has at most 256 leaves and asks for one attribute at most 16 times, a key has at most 1,024 attributes.
//
// # Leakage
//
// A sealed object shows its policy, the fingerprint of the params, whether a companion key is needed, the record id of
// SealMany, and the length of the plaintext, to anybody who holds it. Objects of one SealMany call are recognizable as such.
//
// # Not protected
//
//   - The authority can open everything: its secret is a master key. So can whoever steals it.
//   - Who seals is not authenticated: anybody with the params can. Sign objects where that matters.
//   - Whoever opens one object of a SealMany call can open all of them.
//   - Keys do not expire and are not revoked in this version: what a key may open it opens for ever. A companion key, once
//     destroyed, shuts out everybody; what was read before stays read.
//   - A key that was copied works for the thief. Nothing traces it.
//   - A store can hand out another valid object than the one asked for. Bind objects to their place by associated data.
//   - Policies hold and, or, k of, equality and flags. Numbers, dates and negation are reserved and refused.
//
// The formats, derivations and their reasons are docs/spec/abe.md; the policy language is docs/spec/policy.md.
package abe
