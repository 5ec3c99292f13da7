package abe_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/veilchart/veilchart/abe"
)

// gateway holds the transform keys of its users and fetches headers itself. A real one knows the user from the connection, fetches over the network, and
// writes its log to a file.
type gateway struct {
	store map[string][]byte            // sealed objects by record id
	keys  map[string]*abe.TransformKey // by user
	left  map[string]int               // requests that a user has left today
	log   []string
}

var (
	errStopped = errors.New("gateway: no such user")
	errLimit   = errors.New("gateway: enough for today")
	errRecord  = errors.New("gateway: no such record")
)

// transform is asked for a record by its id, not given a header: the user cannot bring one.
func (g *gateway) transform(user, record string) ([]byte, error) {
	key, ok := g.keys[user]
	if !ok {
		return nil, errStopped
	}
	if g.left[user] == 0 {
		return nil, errLimit
	}
	g.left[user]--
	sealed, ok := g.store[record]
	if !ok {
		return nil, errRecord
	}
	transformed, err := key.Transform(sealed)
	g.log = append(g.log, fmt.Sprintf("%s asked for %s: ok %t", user, record, err == nil))
	return transformed, err
}

// stop is all there is to shutting a user out.
func (g *gateway) stop(user string) { delete(g.keys, user) }

// A user reads with the help of a gateway, until the gateway stops it.
func ExampleAuthority_IssueMediated() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	window := abe.Window{First: 0, Last: abe.LastDay}
	forGateway, ada, err := authority.IssueMediated(window, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := abe.ParsePolicy("role = doctor")
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := authority.Params().Seal(policy, []byte("blood pressure 120/80"), nil)
	if err != nil {
		log.Fatal(err)
	}
	g := &gateway{
		store: map[string][]byte{"obs-1": sealed},
		keys:  map[string]*abe.TransformKey{"ada": forGateway},
		left:  map[string]int{"ada": 100},
	}

	transformed, err := g.transform("ada", "obs-1")
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := ada.Open(sealed, transformed, nil) // on Ada's device: the gateway does not see this
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)

	g.stop("ada")
	_, err = g.transform("ada", "obs-1")
	fmt.Println(err)
	fmt.Println(g.log)
	// Output:
	// blood pressure 120/80
	// gateway: no such user
	// [ada asked for obs-1: ok true]
}

// Two of three issuers make a key that none of them could make alone.
func ExampleAuthority_Split() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	set, issuers, err := authority.Split(2, 3) // then send the issuers their secrets, and destroy the authority's
	if err != nil {
		log.Fatal(err)
	}
	window := abe.Window{First: 20454, Last: 20818}
	request, err := set.Request("Ada Weber", window, abe.Attribute{Name: "role", Value: "doctor"})
	if err != nil {
		log.Fatal(err)
	}

	// Round one: each issuer reads the request and approves it.
	fmt.Println(request)
	var approvals [][]byte
	for _, issuer := range issuers[:2] {
		approval, err := issuer.Approve(request)
		if err != nil {
			log.Fatal(err)
		}
		approvals = append(approvals, approval)
	}

	// Round two: with the approvals of two, any two give their partial keys, to the holder alone.
	var partials []*abe.PartialKey
	for _, issuer := range issuers[1:] {
		partial, err := issuer.Issue(request, approvals...)
		if err != nil {
			log.Fatal(err)
		}
		partials = append(partials, partial)
	}
	key, err := set.Combine(request, partials...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Attributes(), key.Window())
	// Output:
	// key for "Ada Weber", sealing days 2026-01-01..2026-12-31, with role = doctor
	// [role = doctor] 2026-01-01..2026-12-31
}

// A nurse's key on a shared tablet reads less than the nurse.
func ExampleKey_Delegate() {
	authority, err := abe.GenerateAuthority(abe.FABEO, nil)
	if err != nil {
		log.Fatal(err)
	}
	nurse := abe.Attribute{Name: "role", Value: "nurse"}
	ward := abe.Attribute{Name: "ward", Value: "three"}
	key, err := authority.IssueKey(abe.Window{First: 0, Last: abe.LastDay}, nurse, ward)
	if err != nil {
		log.Fatal(err)
	}
	tablet, err := key.Delegate(ward)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tablet.Attributes())
	_, err = tablet.Delegate(nurse)
	fmt.Println(err)
	// Output:
	// [ward = three]
	// abe: the key does not hold role = nurse and cannot delegate it: take attributes from Key.Attributes, each once
}
