-- Whose processes may write: the name of a deployment. Empty where the module was never carved: whoever opens it owns it.
ALTER TABLE fence ADD COLUMN owner TEXT NOT NULL DEFAULT '';
