package abe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"github.com/veilchart/veilchart/abe"
)

func Example() {
	vocabulary, err := abe.ParseVocabulary("age: number 0..150\ndept: many of cardiology, psychiatry\nrole: one of doctor, nurse\n")
	if err != nil {
		log.Fatal(err)
	}
	authority, err := abe.GenerateAuthority(abe.FABEO, vocabulary)
	if err != nil {
		log.Fatal(err)
	}
	today := abe.DayOf(time.Now())
	year := abe.Window{First: today, Last: today + 364} // the sealing days that the key reads
	doctor, err := authority.IssueKey(year, abe.Attribute{Name: "role", Value: "doctor"},
		abe.Attribute{Name: "dept", Value: "cardiology"}, abe.Attribute{Name: "age", Value: "42", Kind: abe.Number})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy(`role = doctor and age >= 18 and not dept = psychiatry`)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(policy, []byte("blood pressure 120/80"), nil)
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := doctor.Open(sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: blood pressure 120/80
}

func ExampleDeniedError() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	clerk, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "role", Value: "clerk"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor and on-call")
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(policy, []byte("x"), nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = clerk.Open(sealed, nil)
	var denied *abe.DeniedError
	if errors.As(err, &denied) {
		fmt.Println(denied.Explanation)
	}
	fmt.Println(errors.Is(err, abe.ErrDecrypt))
	// Output:
	// refused: needs role = doctor and on-call; you have role = clerk
	// true
}

// The records of one patient under one policy share an encapsulation. With a companion key, destroying that key makes all of
// them unreadable.
func ExampleParams_SealMany() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	nurse, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "role", Value: "nurse"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = nurse or role = doctor")
	if err != nil {
		log.Fatal(err)
	}
	patientKey := bytes.Repeat([]byte{1}, 32) // from a key service in real life
	sealed, err := authority.Params().SealMany(policy, []abe.Record{
		{ID: "obs-1", Plaintext: []byte("36.9"), AssociatedData: []byte("patient 17, obs-1")},
		{ID: "obs-2", Plaintext: []byte("37.2"), AssociatedData: []byte("patient 17, obs-2")},
	}, &abe.Options{Companion: patientKey})
	if err != nil {
		log.Fatal(err)
	}
	header, err := abe.Inspect(sealed[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(header.RecordID, "needs a companion:", header.NeedsCompanion)
	plaintext, err := nurse.Open(sealed[1], &abe.Options{AssociatedData: []byte("patient 17, obs-2"), Companion: patientKey})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output:
	// obs-2 needs a companion: true
	// 37.2
}

func ExampleParams_EncryptFrom() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "radiology"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("radiology")
	if err != nil {
		log.Fatal(err)
	}
	var object bytes.Buffer
	if err := authority.Params().EncryptFrom(&object, strings.NewReader("a large image"), policy, nil); err != nil {
		log.Fatal(err) // object is incomplete: throw it away
	}

	r, err := key.Decrypt(&object, nil)
	if err != nil {
		log.Fatal(err)
	}
	image, err := io.ReadAll(r) // complete only without an error
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", image)
	// Output: a large image
}

// A writer is closed after everything was written, and not before: there is no defer.
func ExampleParams_Encrypt() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "radiology"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("radiology")
	if err != nil {
		log.Fatal(err)
	}
	var object bytes.Buffer
	w, err := authority.Params().Encrypt(&object, policy, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range []string{"first slice\n", "second slice\n"} {
		if _, err := io.WriteString(w, line); err != nil {
			log.Fatal(err) // no Close: the object stays incomplete
		}
	}
	if err := w.Close(); err != nil { // completes the object
		log.Fatal(err)
	}
	plaintext, err := key.Open(object.Bytes(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", plaintext)
	// Output:
	// first slice
	// second slice
}
