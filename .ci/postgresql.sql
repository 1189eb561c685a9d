-- Makes the role of the tests, or gives it a new password; drops the schemas that an interrupted test run left behind.
-- For psql with the variables role and password, as a superuser.
SET client_min_messages = warning;
SELECT format('DROP SCHEMA %I CASCADE', nspname)
  FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner
  WHERE rolname = :'role' AND nspname LIKE 'test\_%'
\gexec
SELECT format('CREATE ROLE %I', :'role')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role')
\gexec
ALTER ROLE :"role" LOGIN SUPERUSER PASSWORD :'password';
