// Package agerecipient lets age (filippo.io/age) encrypt files to a policy: a Recipient wraps the file key under the policy, and the Identity of
// everybody whose key satisfies it unwraps the key. The files are age files; age-plugin-veilchart under examples brings the same to the age command.
//
//	staff, err := agerecipient.NewRecipient(params, policy, nil)
//	w, err := age.Encrypt(file, staff)
//
//	doctor, err := agerecipient.NewIdentity(key, nil)
//	r, err := age.Decrypt(file, doctor)
//
// # Alone in a file
//
// A file has one policy and no other recipient. Whoever is one more recipient of a file reads it whatever the policy says, so that a policy is worth
// what the weakest recipient beside it is. Recipient.WrapWithLabels returns a label that is random and new for each file, upon which age refuses every other
// recipient, another Recipient of this package too: write "or" into the policy instead. An age client that does not know labels does not
// refuse, and nobody stops a sender from handing out the plaintext.
//
// # Not protected
//
// Policy and authority stand in the file in the open. age authenticates no sender, nor does this: whoever has the params, and every reader, can make a
// file that opens. Files live on under the policy they were made with; what a window does is said in package abe. Everything that package
// abe says about its security holds here; the file itself is ChaCha20-Poly1305 under a file key of 128 bits.
//
// The formats are docs/spec/age.md.
package agerecipient
