CREATE OR REPLACE TRIGGER dashflow_store_vectors_replaced AFTER UPDATE OF value ON store
FOR EACH ROW EXECUTE FUNCTION dashflow_store_forget_vectors()
