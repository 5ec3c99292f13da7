package main

// A class is a kind of record that a group of people may read. Its records are sealed under its policy and lie in a partition of the index of
// their own, whose key is sealed under the same policy: what may not be read cannot be searched either.
type class struct {
	name   string // also of the partition
	policy string
}

// The classes. A hospital would write its own; the order is that of the report.
var (
	classPatient    = class{"demographics", `role = doctor or role = nurse or role = biller`}
	classEncounter  = class{"encounters", `role = doctor or role = nurse or (role = biller and dept = accounting)`}
	classClinical   = class{"clinical", `role = doctor or (role = nurse and unit = "ward 3")`}
	classMedication = class{"medication", `role = doctor or role = pharmacist or (role = nurse and unit = "ward 3")`}
	classPsychiatry = class{"psychiatry", `role = doctor and (dept = psychiatry or break-glass)`}
	classInfection  = class{"infections", `role = doctor and 2 of (dept = infectiology, hiv-training, break-glass)`}

	classes = []class{classPatient, classEncounter, classClinical, classMedication, classPsychiatry, classInfection}
)

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
	"228557008":       true, // cognitive and behavioural therapy
	"425680009":       true, // cognitive behavioural therapy by a team
	"76168009":        true, // group psychotherapy
	"47505003":        true, // posttraumatic stress disorder
	"226060000":       true, // stress management
	"385892002":       true, // mental health screening
	"715252007":       true, // depression screening by PHQ-9
	"75443-2":         true, // mental health outpatient note
	"84215-3":         true, // mental health telehealth note
	"7200002":         true, // alcoholism
	"24165007":        true, // alcoholism counselling
	"313071005":       true, // counselling for substance abuse
	"408935001":       true, // substance abuse prevention education
	"408936000":       true, // substance abuse prevention management
	"28245-9":         true, // abuse status
}

// infectious are codes of HIV and other sexually transmitted infections.
var infectious = map[string]bool{
	"31676001":  true, // HIV antigen test
	"55277-8":   true, // HIV status
	"86406008":  true, // HIV infection
	"62479008":  true, // AIDS
	"310861008": true, // chlamydia antigen test
	"165829005": true, // gonorrhoea infection test
	"269828009": true, // syphilis infection test
	"47758006":  true, // hepatitis B surface antigen
	"104375008": true, // hepatitis C antibody test
}

// A code that stands in neither table is treated by the type of its record. A hospital that stores other codes than this ward's must add to the
// tables first; it would do better with a terminology server's value sets.

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
		if r.reason { // it tells a diagnosis
			return classClinical
		}
		return classEncounter
	case "MedicationRequest":
		return classMedication
	}
	return classClinical
}
