package preview

import (
	"flag"
	"path/filepath"
	"strconv"

	"github.com/ado-port/ado-port/azuredevops"
)

// Stored says whether stored records are used in place of Azure DevOps.
type Stored struct {
	On   bool
	File string // the output of export; empty: the record store
}

func (s *Stored) register(fs *flag.FlagSet) {
	fs.Var(s, "stored", "use the records of the last resync, or those of a `file` that export has written (--stored=FILE), and ask Azure DevOps nothing")
}

// IsBoolFlag lets the flag stand without a value.
func (*Stored) IsBoolFlag() bool { return true }

func (s *Stored) String() string {
	if s == nil || !s.On {
		return ""
	}
	return s.File
}

// Set is called for the flag; without a value it is "true".
func (s *Stored) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if s.On, s.File = on || err != nil, ""; err != nil {
		s.File = text
	}
	return nil
}

// open opens the file, if one is named.
func (s *Stored) open(directory string) (*azuredevops.Exported, error) {
	if s.File == "" {
		return nil, nil //nolint:nilnil // none is a good answer
	}
	path := s.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(directory, path)
	}
	return azuredevops.OpenExport(path)
}
