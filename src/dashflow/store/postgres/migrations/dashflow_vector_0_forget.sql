-- Vectors go with the value that they were made of, whoever changes it.
CREATE OR REPLACE FUNCTION dashflow_store_forget_vectors() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM store_vectors WHERE prefix = OLD.prefix AND key = OLD.key;
    RETURN NULL;
END $$
