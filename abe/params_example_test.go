package abe_test

import (
	"fmt"
	"log"
	"time"

	"github.com/veilchart/veilchart/abe"
)

// Everything is stored and loaded again: the authority where keys are issued, the params where records are sealed, the key with the doctor. The
// fingerprint of the params reaches whoever loads them by another way than the params did, for example in the program's configuration.
func ExampleNewParams() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	pinned := authority.Params().Fingerprint()
	secret := authority.ExposeSecret() // to be encrypted before it is stored
	public := authority.Params().Bytes()

	// Where keys are issued.
	authority, err = abe.NewAuthority(secret)
	if err != nil {
		log.Fatal(err)
	}
	if authority.Params().Fingerprint() != pinned {
		log.Fatal("this is another authority")
	}
	today := abe.DayOf(time.Now())
	issued, err := authority.IssueKey(abe.Window{First: today, Last: today + 364}, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}
	secret = issued.ExposeSecret() // over a confidential channel

	// Where records are sealed. Whoever seals under params of somebody else seals for somebody else.
	params, err := abe.NewParams(public)
	if err != nil {
		log.Fatal(err)
	}
	if params.Fingerprint() != pinned {
		log.Fatal("these are the params of another authority")
	}
	policy, err := abe.ParsePolicy("role = doctor")
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := params.Seal(policy, []byte("blood pressure 120/80"), nil)
	if err != nil {
		log.Fatal(err)
	}

	// Where they are read.
	key, err := abe.NewKey(secret)
	if err != nil {
		log.Fatal(err)
	}
	if key.Params().Fingerprint() != pinned {
		log.Fatal("this key is from another authority")
	}
	plaintext, err := key.Open(sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v read: %s\n", key.Attributes(), plaintext)
	// Output: [role = doctor] read: blood pressure 120/80
}
