package abe_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"github.com/veilchart/veilchart/abe"
)

// A part of a large object, such as one image of a study, without reading the rest of it.
func ExampleKey_OpenReaderAt() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	doctor, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, abe.Attribute{Name: "radiology"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("radiology")
	if err != nil {
		log.Fatal(err)
	}
	study := bytes.Repeat([]byte("image "), 1_000_000)
	copy(study[4_000_002:], "liver")
	var object bytes.Buffer // a file or an object of a store in real life
	if err := authority.Params().EncryptFrom(&object, bytes.NewReader(study), policy, nil); err != nil {
		log.Fatal(err)
	}

	r, err := doctor.OpenReaderAt(bytes.NewReader(object.Bytes()), int64(object.Len()), nil)
	if err != nil {
		log.Fatal(err)
	}
	part, err := io.ReadAll(io.NewSectionReader(r, 4_000_002, 5))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, of %d bytes\n", part, r.Size())
	// Output: liver, of 6000000 bytes
}
