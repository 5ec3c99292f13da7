package agerecipient_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"filippo.io/age"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/abe/agerecipient"
)

func Example() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor or role = nurse")
	if err != nil {
		log.Fatal(err)
	}
	staff, err := agerecipient.NewRecipient(authority.Params(), policy, nil)
	if err != nil {
		log.Fatal(err)
	}
	doctor, err := agerecipient.NewIdentity(key, nil)
	if err != nil {
		log.Fatal(err)
	}

	var file bytes.Buffer
	w, err := age.Encrypt(&file, staff)
	if err != nil {
		log.Fatal(err)
	}
	io.WriteString(w, "blood pressure 120/80")
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	r, err := age.Decrypt(&file, doctor)
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: blood pressure 120/80
}
