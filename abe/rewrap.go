package abe

import "errors"

// Rewrap opens the header of a sealed object and makes another header for the same payload: under another policy, day, companion, ML-KEM key, vocabulary or
// authority. opts are for opening, as for Open; params, policy and to are for sealing, as for Seal. The new object is
//
//	append(header, sealed[size:]...)      with size from Inspect(sealed)
//
// and sealed may be cut anywhere after its header: the payload is neither read nor needed, and whether it is whole is not checked. The payload key, the record id and the
// associated data stay as they are, so to.AssociatedData must be empty. An object that needs a companion or an ML-KEM key gets a header that needs one, the
// same or another: to.Companion and to.HybridTo must be there then. Objects of version 1 get a header of version 2. The sealing day becomes
// today unless to.Day says otherwise: give the old one (Header.Day) so that the same windows read the object.
//
// Rewrap gives access to more readers, or renews a header. It takes access from nobody for certain: the old header opens the payload wherever a copy of it
// was kept, and so does the payload key for whoever opened the object once. To shut former readers out seal the plaintext anew, with Open and
// Seal, and delete the old object. An object of SealMany that is rewrapped has an encapsulation of its own from then on.
//
// Errors are those of Open and of Seal. Cost: an Open and a Seal without payload.
func (k *Key) Rewrap(sealed []byte, opts *Options, params *Params, policy *Policy, to *Options) (header []byte, err error) {
	h, o, err := k.read(sealed, opts)
	if err != nil {
		return nil, err
	}
	s, err := params.sealer(policy, to)
	if err != nil {
		return nil, err
	}
	if s.associated != nil {
		return nil, errors.New("abe: the associated data of an object stay when it is rewrapped: leave them out of the options for sealing")
	}
	if h.NeedsCompanion && s.companion == nil {
		return nil, errors.New("abe: the object needs a companion key and its new header would not, so that destroying the companion would erase nothing: give one in the options for sealing; to do without, open and seal")
	}
	if h.Hybrid && s.hybrid == nil {
		return nil, errors.New("abe: the object needs an ML-KEM-768 key and its new header would not: give one in Options.HybridTo for sealing; to do without, open and seal")
	}
	payloadKey, err := k.openHeader(h, o)
	if err != nil {
		return nil, err
	}
	core, K, err := s.encapsulate()
	if err != nil {
		return nil, err
	}
	return wrap(core, K, h.RecordID, payloadKey, o.associated), nil
}
