// Package abe seals records under policies: the policy travels with the record, the key with the person, and no server in
// between decides. It is ciphertext-policy attribute-based encryption for hospitals.
//
// An Authority issues keys for attributes such as role = doctor and a window of days. Params are public: with them anybody seals under a policy
// such as
//
//	role = doctor and age >= 18 and not dept = psychiatry
//
// and only a Key whose attributes satisfy the policy, and whose window contains the day of sealing, opens the object. Two people cannot put their
// keys together: what neither may read alone, they cannot read as a pair.
//
//	vocabulary, err := abe.ParseVocabulary("age: number 0..150\ndept: many of cardiology, psychiatry\nrole: one of doctor, nurse\n")
//	...
//	authority, err := abe.GenerateAuthority(abe.FABEO, vocabulary)
//	...
//	today := abe.DayOf(time.Now())
//	year := abe.Window{First: today, Last: today + 364} // the sealing days that the key reads
//	doctor, err := authority.IssueKey(year, abe.Attribute{Name: "role", Value: "doctor"},
//		abe.Attribute{Name: "dept", Value: "cardiology"}, abe.Attribute{Name: "age", Value: "42", Kind: abe.Number})
//	...
//	policy, err := abe.ParsePolicy(`role = doctor and age >= 18 and not dept = psychiatry`)
//	...
//	sealed, err := authority.Params().Seal(policy, []byte("blood pressure 120/80"), nil)
//	...
//	plaintext, err := doctor.Open(sealed, nil)
//
// There are two suites with one API. FABEO (Riepel and Wee, CCS 2022) over BLS12-381 with its multi-use index, made an IND-CCA key encapsulation
// by the transformation of Fujisaki and Okamoto, is the fast one. It is proven adaptively secure in the generic group model together with
// the random oracle model; that is weaker evidence than a proof from a standard assumption. TKN20 (Tomida, Kawahara and Nishimaki, PKC 2020) through circl is
// proven from the decisional linear assumption, and slow: sealing to 100 leaves, or issuing as many components, takes a second or two where FABEO takes milliseconds. BLS12-381 is commonly put
// at 117 to 120 bits of security. Neither withstands a quantum computer; Options.HybridTo adds ML-KEM-768. Payloads are in Tink's AES256-GCM-HKDF streaming format.
//
// Keys can be delegated, given out in two parts with a gateway (IssueMediated) or made by t of n issuers (Split), in suite FABEO: docs/spec/issuing.md. Rewrap puts another
// header before a payload. A Blinding hides names and values of headers that leave the hospital.
//
// Bounds: a policy has at most 256 leaves, 1,024 once it is expanded, and asks for one attribute at most 16 times; a key has at most 1,024 attributes, which come to at most 4,096
// components. TKN20 takes about 150 leaves and 700 components.
//
// What was sealed and issued in version 1 of the formats, before there were days, is still read. Such an object opens with any key that satisfies its policy, whatever the window of the
// key is; such a key opens nothing else. Neither is made any more.
//
// # Leakage
//
// A sealed object shows its policy and the declarations that it was read with (ranges, values of enumerations that are negated), the authority, the sealing day, whether a companion key or an
// ML-KEM key is needed, the record id of SealMany and SealEach, and the length of the plaintext, to anybody who holds it. Objects of one SealMany call are recognizable as such. Params show the whole vocabulary.
//
// # Not protected
//
//   - The authority can open everything: its secret is a master key. So can whoever steals it.
//   - Who seals is not authenticated: anybody with the params can. Sign objects where that matters.
//   - The sealer chooses the day. One who antedates an object seals for keys that have ended.
//   - A window that ends stops a key from reading what is sealed later, and from nothing else: what it may open it opens for ever. Rewrap takes access from nobody who kept the old
//     header or has opened the object. Mediated decryption stops a user at once, as long as the gateway is honest. A companion key, once
//     destroyed, shuts out everybody. What was read stays read.
//   - Whoever opens one object of a SealMany call can open all of them.
//   - Comparison and negation are as honest as the authority: it refuses a second value of a number, a date or a name declared one, and says for names declared many what a holder
//     does not have. Nothing in a key proves to others that it did.
//   - not is not "everybody else": a key without any value of a number, a date or a name declared one satisfies no negation of it. A value that is added to an enumeration later shuts out
//     older keys from its negation until they are issued again.
//   - A key that was copied works for the thief. Nothing traces it, nor a key that was delegated from it.
//   - The ML-KEM key is one key for all who are entitled: who has it and breaks the pairing reads everything.
//   - A store can hand out another valid object than the one asked for. Bind objects to their place by associated data.
//
// The formats, derivations and their reasons are docs/spec/abe.md; the policy language is docs/spec/policy.md.
package abe
