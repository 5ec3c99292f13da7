package abe_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"github.com/veilchart/veilchart/abe"
)

// Policies that people write are checked before anything is sealed: Check refuses what has no meaning, Lint tells what was likely not meant.
func ExampleVocabulary() {
	vocabulary, err := abe.ParseVocabulary("age: number 0..150\nrole: one of doctor, nurse\n")
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"role = doctor and age >= 18", "role = docter", "age >= 0", "role = doctor and role = nurse"} {
		policy, err := abe.ParsePolicy(text)
		if err != nil {
			log.Fatal(err) // says where the text is wrong
		}
		if err := vocabulary.Check(policy); err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println("allowed:", policy)
		for _, warning := range vocabulary.Lint(policy) {
			fmt.Println("  but", warning)
		}
	}
	// Output:
	// allowed: role = doctor and age >= 18
	// refused: abe: role = docter cannot be asked for: the vocabulary does not have the value docter; it has role: one of doctor, nurse
	// allowed: age >= 0
	//   but every key with age that is issued under this vocabulary satisfies age >= 0
	// allowed: role = doctor and role = nurse
	//   but nobody can satisfy role = doctor and role = nurse: together its parts shut out every value of role
}

// An authority learns new names and values and stays the same authority: keys and objects from before go on.
func ExampleAuthority_WithVocabulary() {
	before, err := abe.ParseVocabulary("role: one of doctor, nurse\n")
	if err != nil {
		log.Fatal(err)
	}
	authority, err := abe.GenerateAuthority(abe.FABEO, before)
	if err != nil {
		log.Fatal(err)
	}
	today := abe.DayOf(time.Now())
	doctor, err := authority.IssueKey(abe.Window{First: today, Last: today + 364}, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}

	after, err := abe.ParseVocabulary("age: number 0..150\nrole: one of doctor, nurse, pharmacist\n")
	if err != nil {
		log.Fatal(err)
	}
	authority, err = authority.WithVocabulary(after)
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role in (doctor, pharmacist) or age >= 65")
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(policy, []byte("dose 5 mg"), nil) // with the new params, whose fingerprint is another
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := doctor.Open(sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output: dose 5 mg
}

// Records that leave the hospital do not tell whom they are for.
func ExampleBlinding() {
	vocabulary, err := abe.ParseVocabulary("dept: many of oncology, psychiatry\nrole: one of doctor, nurse\n")
	if err != nil {
		log.Fatal(err)
	}
	blindingKey := make([]byte, 32) // stays in the hospital, with the vocabulary
	rand.Read(blindingKey)
	blinding, err := abe.NewBlinding(blindingKey)
	if err != nil {
		log.Fatal(err)
	}
	authority, err := abe.GenerateAuthority(abe.FABEO, nil) // without the vocabulary: params show theirs
	if err != nil {
		log.Fatal(err)
	}

	flags, err := blinding.Attributes(vocabulary, abe.Attribute{Name: "role", Value: "doctor"}, abe.Attribute{Name: "dept", Value: "psychiatry"})
	if err != nil {
		log.Fatal(err)
	}
	today := abe.DayOf(time.Now())
	doctor, err := authority.IssueKey(abe.Window{First: today, Last: today + 364}, flags...)
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor and not dept = oncology")
	if err != nil {
		log.Fatal(err)
	}
	blinded, err := blinding.Policy(policy, vocabulary)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(blinded, []byte("blood pressure 120/80"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("tells the role:", bytes.Contains(sealed, []byte("doctor")))
	plaintext, err := doctor.Open(sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	// Output:
	// tells the role: false
	// blood pressure 120/80
}
