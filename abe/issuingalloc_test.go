package abe

import "testing"

// What strangers send to gateways, users, issuers and holders makes them allocate little before it has the right lengths, and then in proportion.
func TestStrangersIssuingAllocatesLittle(t *testing.T) {
	a := fabeoAuthority(t, hospitalWords+"ward: many of "+flagsText(60, ", ")+"\nscore: number 0..9223372036854775807\n")
	attributes := append(hospitalAttributes(t), Attribute{Name: "score", Value: "1", Kind: Number})
	transform, mediated, err := a.IssueMediated(always, attributes...)
	if err != nil {
		t.Fatal(err)
	}
	set, issuers := split(t, a, 2, 3)
	r, err := set.Request("Ada Weber", always, attributes...)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := a.Params().Seal(fabeoPolicy(t, "role = nurse"), []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, err := transform.Transform(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		encoding []byte
		decode   func([]byte) error
	}{
		"transform key": {transform.ExposeSecret(), func(b []byte) error { _, err := NewTransformKey(b); return err }},
		"mediated key":  {mediated.ExposeSecret(), func(b []byte) error { _, err := NewMediatedKey(b); return err }},
		"issuer set":    {set.Bytes(), func(b []byte) error { _, err := NewIssuerSet(b); return err }},
		"issuer":        {issuers[0].ExposeSecret(), func(b []byte) error { _, err := NewIssuer(b, set); return err }},
		"request":       {r.Bytes(), func(b []byte) error { _, err := NewRequest(b); return err }},
		"approval":      {approvals(t, r, issuers[0])[0], func(b []byte) error { _, err := set.approver(b, r); return err }},
		"partial key":   {partials(t, r, issuers[:2]...)[0].ExposeSecret(), func(b []byte) error { _, err := NewPartialKey(b); return err }},
		"value":         {value, func(b []byte) error { _, err := mediated.with(b); return err }},
	} {
		ofWhole := func(received int) int { return share(received) + perKeyByte*received }
		check, report := within(t, what, ofWhole, c.decode)
		short, reportShort := within(t, what+" of which most is missing", share, c.decode)
		wholes := 0
		lies(c.encoding, 20, func(b []byte) {
			if len(b) < len(c.encoding) {
				short(b)
			} else if wholes++; wholes%24 == 0 {
				check(b)
			}
		})
		report()
		reportShort()
	}
}
