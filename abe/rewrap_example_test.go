package abe_test

import (
	"crypto/mlkem"
	"fmt"
	"log"
	"time"

	"github.com/veilchart/veilchart/abe"
)

// A record is opened to nurses. Its payload, which may be large, is neither decrypted nor copied into memory.
func ExampleKey_Rewrap() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	today := abe.DayOf(time.Now())
	year := abe.Window{First: today, Last: today + 364}
	doctor, err := authority.IssueKey(year, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}
	nurse, err := authority.IssueKey(year, abe.Attribute{Name: "role", Value: "nurse"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor")
	if err != nil {
		log.Fatal(err)
	}
	bound := &abe.Options{AssociatedData: []byte("patient 17, obs-1")}
	sealed, err := authority.Params().Seal(policy, []byte("36.9"), bound)
	if err != nil {
		log.Fatal(err)
	}

	wider, err := abe.ParsePolicy("role = doctor or role = nurse")
	if err != nil {
		log.Fatal(err)
	}
	old, err := abe.Inspect(sealed)
	if err != nil {
		log.Fatal(err)
	}
	header, err := doctor.Rewrap(sealed, bound, authority.Params(), wider, &abe.Options{Day: old.Day}) // the day stays, or windows read another
	if err != nil {
		log.Fatal(err)
	}
	rewrapped := append(header, sealed[old.Size:]...)
	plaintext, err := nurse.Open(rewrapped, bound)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: 36.9
}

// A second lock that a quantum computer does not open: one key of ML-KEM-768 for everybody who is entitled.
func ExampleOptions_hybrid() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	hospital, err := mlkem.GenerateKey768() // secret; goes to readers with their keys
	if err != nil {
		log.Fatal(err)
	}
	today := abe.DayOf(time.Now())
	doctor, err := authority.IssueKey(abe.Window{First: today, Last: today + 364}, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor")
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(policy, []byte("genome"), &abe.Options{HybridTo: hospital.EncapsulationKey()})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := doctor.Open(sealed, &abe.Options{HybridKey: hospital})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	_, err = doctor.Open(sealed, nil)
	fmt.Println("with attributes alone:", err != nil)
	// Output:
	// genome
	// with attributes alone: true
}
