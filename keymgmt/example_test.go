package keymgmt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/veilchart/veilchart/keymgmt"
)

func Example() {
	dir, err := os.MkdirTemp("", "keymgmt")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := keymgmt.WithUse(context.Background(), keymgmt.Use{Actor: "dpo@st-anna", Reason: "request 17"})

	w, err := keymgmt.CreateKeyFile(filepath.Join(dir, "root.key"))
	if err != nil {
		log.Fatal(err)
	}
	ring, err := keymgmt.CreateKeyring(ctx, keymgmt.FilesIn(dir), w, keymgmt.Options{})
	if err != nil {
		log.Fatal(err)
	}
	key, err := ring.Generate(ctx, "st-anna/patient/4711")
	if err != nil {
		log.Fatal(err)
	}
	content, err := key.Secret.Derive(keymgmt.PurposeContent)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(content, content.Len())

	receipt, err := ring.Destroy(ctx, "st-anna/patient/4711", keymgmt.Destruction{AtOnce: []string{"all records of the patient"}})
	if err != nil {
		log.Fatal(err)
	}
	public, err := ring.ReceiptKey(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if receipt, err = keymgmt.VerifyReceipt(receipt.Bytes(), public); err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Name, "is gone at once:", receipt.AtOnce[0])
	_, err = ring.Get(ctx, "st-anna/patient/4711")
	fmt.Println(errors.Is(err, keymgmt.ErrDestroyed))
	// Output:
	// redacted 32
	// st-anna/patient/4711 is gone at once: all records of the patient
	// true
}
