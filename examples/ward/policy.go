package main

// A class is a kind of record that a group of people may read. Policy is what its records are sealed under; partition is the part of the
// search index that they are in.
type class struct {
	name      string
	policy    string
	partition string
}

// The partitions of the index. Each has a key of its own, and who has the key can search it.
const (
	admin      = "admin"      // who the patients are and when they came
	clinical   = "clinical"   // findings, treatments
	restricted = "restricted" // psychiatry, HIV and other infections that the law protects
)

// The classes. A hospital would write its own; the order is that of the report.
var (
	classPatient    = class{"demographics", `role = doctor or role = nurse or role = biller`, admin}
	classEncounter  = class{"encounters", `role = doctor or role = nurse or (role = biller and dept = accounting)`, admin}
	classClinical   = class{"clinical", `role = doctor or (role = nurse and unit = "ward 3")`, clinical}
	classMedication = class{"medication", `role = doctor or role = pharmacist or (role = nurse and unit = "ward 3")`, clinical}
	classPsychiatry = class{"psychiatry", `role = doctor and (dept = psychiatry or break-glass)`, restricted}
	classInfection  = class{"HIV and STI", `role = doctor and 2 of (dept = infectiology, hiv-training, break-glass)`, restricted}

	classes = []class{classPatient, classEncounter, classClinical, classMedication, classPsychiatry, classInfection}
)

// partitionPolicy says who gets the key that searches a partition.
var partitionPolicy = map[string]string{
	admin:      `role = doctor or role = nurse or role = biller`,
	clinical:   `role = doctor or role = pharmacist or (role = nurse and unit = "ward 3")`,
	restricted: `role = doctor and (dept = psychiatry or dept = infectiology or break-glass)`,
}

// psychiatric are SNOMED CT, RxNorm and LOINC codes of the mind and of addiction. One such code anywhere in a record makes the record strict.
var psychiatric = map[string]bool{
	"370143000":       true, // major depression disorder
	"36923009":        true, // major depression, single episode
	"192127007":       true, // child attention deficit disorder
	"55680006":        true, // drug overdose
	"5602001":         true, // opioid abuse
	"26929004":        true, // Alzheimer's disease
	"230265002":       true, // familial Alzheimer's disease of early onset
	"171207006":       true, // depression screening
	"225337009":       true, // suicide risk assessment
	"405783006":       true, // psychological assessment
	"79094001":        true, // initial psychiatric interview
	"88848003":        true, // psychiatric follow-up
	"304822001":       true, // psychodynamic interpersonal therapy
	"266707007":       true, // drug addiction therapy
	"60112009":        true, // drug addiction counselling
	"61480009":        true, // drug detoxification
	"56876005":        true, // drug rehabilitation and detoxification
	"736254008":       true, // psychiatry care plan
	"718347000":       true, // mental health care plan
	"737434004":       true, // major depressive disorder clinical management plan
	"386257007":       true, // dementia management
	"850261000000100": true, // education about dementia
	"386522008":       true, // overactivity and inattention behaviour management
	"72106-8":         true, // MMSE, total score
	"328670":          true, // sertraline
	"406022":          true, // fluoxetine
	"563026":          true, // diazepam
	"1091392":         true, // methylphenidate
	"310436":          true, // galantamine
	"996740":          true, // memantine
	"997223":          true, // donepezil
	"998582":          true, // donepezil
	"1599803":         true, // donepezil with memantine
}

// infectious are codes of HIV and other sexually transmitted infections.
var infectious = map[string]bool{
	"31676001":  true, // HIV antigen test
	"310861008": true, // chlamydia antigen test
	"165829005": true, // gonorrhoea infection test
	"269828009": true, // syphilis infection test
	"47758006":  true, // hepatitis B surface antigen
	"104375008": true, // hepatitis C antibody test
}

// classify says under which policy a record belongs: the strictest that one of its codes asks for, then by its type.
func classify(r *record) class {
	for _, c := range r.codes {
		if infectious[c] {
			return classInfection
		}
	}
	for _, c := range r.codes {
		if psychiatric[c] {
			return classPsychiatry
		}
	}
	switch r.kind {
	case "Patient":
		return classPatient
	case "Encounter":
		return classEncounter
	case "MedicationRequest":
		return classMedication
	}
	return classClinical
}
